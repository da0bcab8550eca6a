#include "core/data/cifar.h"

#include <array>
#include <cmath>

#include "tests/core/base/testing.h"
#include "tests/core/data/testing.h"

namespace convoy {
namespace {

// Pixel p of channel c of image k.
uint8_t pixel(int k, int c, int p) { return static_cast<uint8_t>(k * 31 + c * 101 + p * 7 + p / 256); }

// `labels` are the bytes before the pixels.
std::string record(const std::string& labels, int k) {
  std::string bytes = labels;
  for (int c = 0; c < 3; ++c)
    for (int p = 0; p < 1024; ++p) bytes += static_cast<char>(pixel(k, c, p));
  return bytes;
}

std::string label(int value) { return {static_cast<char>(value)}; }

// Of CIFAR-10: images 0 and 1, then 2; and a test set of image 3.  Labels are 9 - k.
std::vector<std::pair<std::string, std::string>> cifar10() {
  return {{"data_batch_1.bin", record(label(9), 0) + record(label(8), 1)},
          {"data_batch_2.bin", record(label(7), 2)},
          {"test_batch.bin", record(label(6), 3)},
          {"batches.meta.txt", "airplane\n"}};
}

std::string as_tar(const std::vector<std::pair<std::string, std::string>>& files, const std::string& folder) {
  std::string archive = tar_file(folder + "/", "", '5');
  for (auto file = files.rbegin(); file != files.rend(); ++file)  // the real archive has no order either
    archive += tar_file(folder + "/" + file->first, file->second);
  return archive + tar_end();
}

void expect_images(const Dataset& data, int first, int count) {
  ASSERT_EQ(data.size(), count);
  ASSERT_EQ(data.sample(), (Shape{1, 32, 32, 3}));
  std::vector<uint8_t> pixels(3072);
  for (int i = 0; i < count; ++i) {
    EXPECT_EQ(data.read(i, 0, pixels.data()), 9 - (first + i));
    int wrong = 0;
    for (int at = 0; at < 3072; ++at)
      wrong += pixels[static_cast<size_t>(at)] != pixel(first + i, at % 3, at / 3) ? 1 : 0;
    EXPECT_EQ(wrong, 0) << "image " << first + i;
  }
}

class CifarFiles : public testing::Test {
 protected:
  void put(const std::string& folder, const std::vector<std::pair<std::string, std::string>>& files) {
    std::filesystem::create_directories(temp_ / folder);
    for (const auto& [name, contents] : files) put_file(temp_ / (folder + "/" + name), contents);
  }
  void expect_bad(ExitCode code, const std::vector<std::string>& parts, const std::string& path, int classes = 10) {
    expect_error(code, parts, [&] { open_cifar(path, Split::kTrain, classes); });
    expect_error(code, parts, [&] { read_cifar_header(path, Split::kTrain, classes); });
  }
  TempDirectory temp_;
};

TEST_F(CifarFiles, FolderParentAndArchivesAreTheSame) {
  put("here/cifar-10-batches-bin", cifar10());
  const std::string archive = as_tar(cifar10(), "cifar-10-batches-bin");
  put("", {{"c.tar", archive}, {"c.tar.gz", gzip(archive)}});
  for (const std::string& path :
       {temp_ / "here/cifar-10-batches-bin", temp_ / "here", temp_ / "c.tar", temp_ / "c.tar.gz"}) {
    expect_images(*open_cifar(path, Split::kTrain, 10), 0, 3);
    expect_images(*open_cifar(path, Split::kTest, 10), 3, 1);
    EXPECT_EQ(read_cifar_header(path, Split::kTrain, 10).size, 3);
    EXPECT_EQ(read_cifar_header(path, Split::kTest, 10).size, 1);
    EXPECT_EQ(read_cifar_header(path, Split::kTest, 10).sample, (Shape{1, 32, 32, 3}));
  }
}

TEST_F(CifarFiles, TheFineLabelOfCifar100Counts) {
  put("cifar-100-binary", {{"train.bin", record({19, 9}, 0) + record({0, 8}, 1)}, {"test.bin", record({99, 7}, 2)}});
  put("", {{"c.tar.gz", gzip(as_tar({{"train.bin", record({1, 9}, 0)}}, "cifar-100-binary"))}});
  expect_images(*open_cifar(temp_.path(), Split::kTrain, 100), 0, 2);
  expect_images(*open_cifar(temp_.path(), Split::kTest, 100), 2, 1);
  expect_images(*open_cifar(temp_ / "c.tar.gz", Split::kTrain, 100), 0, 1);
  expect_bad(ExitCode::kNoInput, {"data_batch_1.bin", "binary one"}, temp_ / "cifar-100-binary");
}

TEST_F(CifarFiles, TenFilesAreInTheOrderOfTheirNumbers) {
  std::vector<std::pair<std::string, std::string>> files;
  for (int k = 0; k < 10; ++k)
    files.emplace_back("data_batch_" + std::to_string(k + 1) + ".bin", record(label(9 - k), k));
  files.emplace_back("data_batch_01.bin", "not one of them");
  put("d", files);
  expect_images(*open_cifar(temp_ / "d", Split::kTrain, 10), 0, 10);
}

TEST_F(CifarFiles, WhatDoesNotFitIsNamed) {
  const std::string one = record(label(1), 0);
  put("empty", {});
  put("gap", {{"data_batch_1.bin", one}, {"data_batch_3.bin", one}});
  put("short", {{"data_batch_1.bin", one.substr(1)}});
  put("long", {{"data_batch_1.bin", one + "x"}});
  put("nothing", {{"data_batch_1.bin", ""}});
  put("", {{"twice.tar", tar_file("a/data_batch_1.bin", one) + tar_file("b/data_batch_1.bin", one) + tar_end()},
           {"other.tar", tar_file("data_batch_1", one) + tar_end()},
           {"junk.bin", one}});
  expect_bad(ExitCode::kNoInput, {"absent: expected data_batch_1.bin"}, temp_ / "absent");
  expect_bad(ExitCode::kNoInput, {"empty: expected data_batch_1.bin", "cifar-10-batches-bin"}, temp_ / "empty");
  expect_bad(ExitCode::kNoInput, {"gap: expected data_batch_2.bin beside"}, temp_ / "gap");
  expect_bad(ExitCode::kBadData, {"short/data_batch_1.bin", "records of 3073 bytes, found 3072"}, temp_ / "short");
  expect_bad(ExitCode::kBadData, {"long/data_batch_1.bin", "found 3074"}, temp_ / "long");
  expect_bad(ExitCode::kBadData, {"nothing/data_batch_1.bin", "found 0"}, temp_ / "nothing");
  expect_bad(ExitCode::kBadData, {"twice.tar: b/data_batch_1.bin", "found two"}, temp_ / "twice.tar");
  expect_bad(ExitCode::kNoInput, {"other.tar: expected data_batch_1.bin", "binary one"}, temp_ / "other.tar");
  expect_bad(ExitCode::kBadData, {"junk.bin", "tar member"}, temp_ / "junk.bin");
  expect_bad(ExitCode::kConfig, {"10 or 100 classes, found 20"}, temp_ / "gap", 20);
  put("label", {{"data_batch_1.bin", one + record(label(10), 1)}});
  expect_error(ExitCode::kBadData, {"label: sample 1: expected a label of 0 to 9, found 10"},
               [&] { open_cifar(temp_ / "label", Split::kTrain, 10); });
}

TEST_F(CifarFiles, TruncatedArchivesAreRefused) {
  const std::string archive = as_tar(cifar10(), "cifar-10-batches-bin"), packed = gzip(archive);
  const std::string path = temp_ / "c";
  for (size_t n = 512; n + 1024 < archive.size(); n += 509) {
    put_file(path, archive.substr(0, n));
    expect_bad(ExitCode::kBadData, {path, "cut short"}, path);
  }
  for (size_t n = 2; n < packed.size(); n += 97) {
    put_file(path, packed.substr(0, n));
    expect_bad(ExitCode::kBadData, {path}, path);
  }
}

struct Moments {
  std::array<double, 3> mean, deviation;  // of pixels / 255
};

Moments moments(const Dataset& data) {
  std::array<int64_t, 3> sum = {}, squares = {};
  std::vector<uint8_t> pixels(static_cast<size_t>(data.sample().elements()));
  for (int64_t i = 0; i < data.size(); ++i) {
    data.read(i, 0, pixels.data());
    for (size_t p = 0; p < pixels.size(); ++p) {
      sum[p % 3] += pixels[p];
      squares[p % 3] += int64_t{pixels[p]} * pixels[p];
    }
  }
  Moments result = {};
  const auto count = static_cast<double>(data.size() * 1024);
  for (size_t c = 0; c < 3; ++c) {
    result.mean[c] = static_cast<double>(sum[c]) / count / 255;
    result.deviation[c] =
        std::sqrt(static_cast<double>(squares[c]) / count / 255 / 255 - result.mean[c] * result.mean[c]);
  }
  return result;
}

void expect_near(const Moments& found, const Moments& expected) {
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(found.mean[c], expected.mean[c], 6e-6) << c;
    EXPECT_NEAR(found.deviation[c], expected.deviation[c], 6e-6) << c;
  }
}

// Numbers from shared/data/SOURCES.md.
TEST(CifarRealData, ExactSubset) {
  const std::string path = test_data("cifar10-exact-subset");
  if (path.empty()) GTEST_SKIP() << "CONVOY_TEST_DATA has no cifar10-exact-subset folder";
  const std::unique_ptr<Dataset> train = open_cifar(path, Split::kTrain, 10), test = open_cifar(path, Split::kTest, 10);
  EXPECT_EQ(train->size(), 8068);
  EXPECT_EQ(test->size(), 1017);
  EXPECT_EQ(read_cifar_header(path, Split::kTrain, 10).size, 8068);
  expect_near(moments(*train), {{.49304, .48343, .44690}, {.24797, .24451, .26239}});
  expect_near(moments(*test), {{.49610, .48652, .45087}, {.24662, .24263, .26169}});
}

}  // namespace
}  // namespace convoy
