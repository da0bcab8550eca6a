#include "core/data/idx.h"

#include <sys/stat.h>

#include <numeric>

#include "tests/core/base/testing.h"
#include "tests/core/data/testing.h"

namespace convoy {
namespace {

IdxArray parse(const std::string& file) { return parse_idx(to_bytes(file), "f"); }

void expect_bad(const std::vector<std::string>& parts, const std::string& file) {
  expect_error(ExitCode::kBadData, parts, [&] { parse(file); });
}

TEST(Idx, PlainAndGzippedGiveTheSame) {
  const std::string file = idx_header({2, 3}) + std::string("\0\1\2\3\4\xff", 6);
  for (const std::string& form : {file, gzip(file)}) {
    const IdxArray array = parse(form);
    EXPECT_EQ(array.dims, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(array.elements, (std::vector<uint8_t>{0, 1, 2, 3, 4, 255}));
  }
}

TEST(Idx, AGzipFileMayHaveSeveralMembers) {
  const std::string header = idx_header({2, 3}), empty = gzip("");
  EXPECT_EQ(parse(gzip(header) + empty + gzip("abc") + gzip("def") + empty).elements,
            (std::vector<uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'}));
  expect_bad({"expected 6 elements, found 3"}, gzip(header) + gzip("abc"));
  expect_bad({"expected 6 elements, found more"}, gzip(header) + gzip("abcdef") + gzip("g"));
  expect_bad({"nothing after the gzip stream"}, gzip(header) + gzip("abcdef") + "def");
}

TEST(Idx, EveryTruncationIsRefused) {
  const std::string file = idx_header({2, 3}) + "abcdef", packed = gzip(file);
  for (size_t n = 0; n < file.size(); ++n) expect_bad({"f: "}, file.substr(0, n));
  for (size_t n = 0; n < packed.size(); ++n) expect_bad({"f: "}, packed.substr(0, n));
}

TEST(Idx, EveryChangedByteOfAGzipPayloadIsRefused) {
  const std::string file = idx_header({2, 3}) + "abcdef";
  const std::string packed = gzip(file);
  constexpr size_t kGzipHeader = 10;  // time stamp and system may be anything
  for (size_t i = kGzipHeader; i < packed.size(); ++i) {
    std::string damaged = packed;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    expect_bad({"f: "}, damaged);
  }
}

TEST(Idx, MoreThanWasPromisedIsRefused) {
  const std::string file = idx_header({3}) + "abc";
  expect_bad({"expected 3 elements, found more"}, file + "d");
  expect_bad({"expected 3 elements, found more"}, gzip(file + "d"));
  expect_bad({"nothing after the gzip stream, found 1 bytes"}, gzip(file) + "x");
}

TEST(Idx, HeadersThatAreNotIdxAreRefused) {
  expect_bad({"first bytes 0 0 8", "found 137 80 78 71"}, "\x89PNG....");
  expect_bad({"type 8", "found type 13"}, idx_header({1}, 13) + "abcd");
  expect_bad({"1 to 4 dimensions"}, idx_header({1, 1, 1, 1, 1}) + "a");
  expect_bad({"1 to 4 dimensions"}, idx_header({}));
  expect_bad({"dimension 1", "found 0"}, idx_header({2, 0}));
  expect_bad({"found 4294967295"}, idx_header({0xffffffffu}) + "a");
}

// A header may promise anything: the memory taken must follow the file.
TEST(Idx, PromisesBeyondTheFileAreRefusedBeforeAllocating) {
  expect_bad({"cannot be trusted"}, idx_header({0x7fffffff, 0x7fffffff}) + "a");
  expect_bad({"cannot be trusted"}, idx_header({0x7fffffff, 0x7fffffff, 0x7fffffff}) + "a");
  const std::string bomb = gzip(idx_header({1u << 27}) + std::string(1u << 20, '\0'));
  expect_bad({"cannot be trusted"}, bomb);
}

class IdxFiles : public testing::Test {
 protected:
  void put(const std::string& images, const std::string& labels) {
    put_file(temp_ / "images", images);
    put_file(temp_ / "labels", labels);
  }
  std::unique_ptr<Dataset> open(int classes = 3) { return open_idx_files(temp_ / "images", temp_ / "labels", classes); }
  TempDirectory temp_;
};

TEST_F(IdxFiles, SamplesAndLabels) {
  put(idx_header({2, 1, 2}) + "abcd", idx_header({2}) + std::string("\2\0", 2));
  const std::unique_ptr<Dataset> data = open();
  EXPECT_EQ(data->size(), 2);
  EXPECT_EQ(data->sample(), (Shape{1, 1, 2, 1}));
  uint8_t pixels[2];
  EXPECT_EQ(data->read(1, 0, pixels), 0);
  EXPECT_EQ(pixels[0], 'c');
  EXPECT_EQ(pixels[1], 'd');
  EXPECT_EQ(data->read(0, 0, pixels), 2);
  EXPECT_EQ(pixels[0], 'a');
}

TEST_F(IdxFiles, ColourImagesHaveFourDimensions) {
  put(idx_header({1, 2, 1, 3}) + "abcdef", idx_header({1}) + '\1');
  EXPECT_EQ(open()->sample(), (Shape{1, 2, 1, 3}));
}

TEST_F(IdxFiles, TheHeaderTellsSizeAndShape) {
  const auto header = [&] { return read_images_header(temp_ / "images"); };
  for (const bool packed : {false, true}) {
    const std::string colour = idx_header({7, 2, 1, 3}) + "abc";  // the rest is not looked at
    put(packed ? gzip(colour) : colour, "");
    EXPECT_EQ(header().size, 7);
    EXPECT_EQ(header().sample, (Shape{1, 2, 1, 3}));
  }
  put(idx_header({7, 2}) + "abc", "");
  expect_error(ExitCode::kBadData, {"images (n, h, w", "array of 7x2"}, [&] { header(); });
  put(idx_header({1, 65536, 65536}), "");
  expect_error(ExitCode::kBadData, {"images of at most 2147483647 bytes"}, [&] { header(); });
  put(std::string("PK"), "");
  expect_error(ExitCode::kBadData, {"images: expected an IDX header"}, [&] { header(); });
  expect_error(ExitCode::kNoInput, {"regular file"}, [&] { read_images_header(temp_.path()); });
  std::filesystem::remove(temp_ / "images");
  ASSERT_EQ(mkfifo((temp_ / "images").c_str(), 0600), 0);
  expect_error(ExitCode::kNoInput, {"regular file"}, [&] { header(); });  // and does not wait
}

TEST_F(IdxFiles, FingerprintFollowsContents) {
  put(idx_header({1, 1, 2}) + "ab", idx_header({1}) + '\1');
  const std::string first = open()->fingerprint();
  EXPECT_EQ(open()->fingerprint(), first);
  put(gzip(idx_header({1, 1, 2}) + "ab"), idx_header({1}) + '\1');
  EXPECT_EQ(open()->fingerprint(), first);
  put(idx_header({1, 1, 2}) + "ab", idx_header({1}) + '\2');
  EXPECT_NE(open()->fingerprint(), first);
  put(idx_header({1, 2, 1}) + "ab", idx_header({1}) + '\1');
  EXPECT_NE(open()->fingerprint(), first);
}

TEST_F(IdxFiles, WhatDoesNotFitIsNamed) {
  put(idx_header({2, 1, 2}) + "abcd", idx_header({3}) + "\1\1\1");
  expect_error(ExitCode::kBadData, {temp_ / "labels", "expected 2 labels", "found 3"}, [&] { open(); });
  put(idx_header({2, 1, 2}) + "abcd", idx_header({2}) + "\1\3");
  expect_error(ExitCode::kBadData, {"labels: sample 1: expected a label of 0 to 2, found 3"}, [&] { open(); });
  put(idx_header({2}) + "\1\1", idx_header({2}) + "\1\1");
  expect_error(ExitCode::kBadData, {"images", "array of 2"}, [&] { open(); });
  expect_error(ExitCode::kNoInput, {"train-images-idx3-ubyte[.gz]"}, [&] { open_idx(temp_.path(), Split::kTrain, 3); });
}

// Sums from shared/data/SOURCES.md.
struct Sums {
  int64_t size, pixels, labels;
};

void expect_sums(const Dataset& data, const Sums& expected) {
  ASSERT_EQ(data.size(), expected.size);
  EXPECT_EQ(data.sample(), (Shape{1, 28, 28, 1}));
  std::vector<uint8_t> image(28 * 28);
  int64_t pixels = 0, labels = 0;
  for (int64_t i = 0; i < data.size(); ++i) {
    labels += data.read(i, 0, image.data());
    pixels = std::accumulate(image.begin(), image.end(), pixels);
  }
  EXPECT_EQ(pixels, expected.pixels);
  EXPECT_EQ(labels, expected.labels);
}

TEST(IdxRealData, FashionMnist) {
  const std::string path = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "package dataset-fashion-mnist is not installed";
  expect_sums(*open_idx(path, Split::kTrain, 10), {60000, 3431114169, 270000});  // labels: 6000 of each class
  expect_sums(*open_idx(path, Split::kTest, 10), {10000, 573469082, 45000});
}

TEST(IdxRealData, Mnist) {
  const std::string path = test_data("mnist");
  if (path.empty()) GTEST_SKIP() << "CONVOY_TEST_DATA has no mnist folder";
  expect_sums(*open_idx(path, Split::kTrain, 10), {60000, 1567298545, 267236});
  expect_sums(*open_idx(path, Split::kTest, 10), {10000, 264923200, 44434});
}

}  // namespace
}  // namespace convoy
