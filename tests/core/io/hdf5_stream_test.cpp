#include "core/io/hdf5_stream.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/base/error.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

struct BytesSink final : ByteSink {
  std::string bytes;
  void write(std::span<const std::byte> more) override {
    bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
  }
};

Hdf5File decode(const std::string& bytes, int64_t file_bytes = 10'000) {
  const std::vector<std::byte> copy = to_bytes(bytes);
  BytesSource source(copy, "f.h5");
  return decode_hdf5(source, file_bytes, "f.h5");
}

std::string said(const std::function<void(Hdf5Encoder&)>& what) {
  BytesSink sink;
  Hdf5Encoder encoder(sink);
  what(encoder);
  encoder.flush();
  return sink.bytes;
}

void say_small(Hdf5Encoder& encoder) {
  encoder.group({"/", {{"text", false, {"ü"}}, {"list", true, {"a", ""}}, {"none", true, {}}}});
  encoder.group({"/g", {}});
  encoder.dataset("/g/w", std::vector<int64_t>{2, 1});
  encoder.elements(std::vector<float>{1.5f, -2});
  encoder.dataset("/s", {});
  encoder.elements(std::vector<float>{7});
  encoder.end();
}

void expect_bad(const std::string& part, const std::string& bytes, int64_t file_bytes = 10'000) {
  expect_error(ExitCode::kBadData, {"f.h5: ", part}, [&] { decode(bytes, file_bytes); });
}

TEST(Hdf5Stream, CarriesGroupsAndDatasets) {
  const Hdf5File file = decode(said(say_small));
  ASSERT_EQ(file.groups.size(), 2u);
  ASSERT_EQ(file.groups[0].attributes.size(), 3u);
  EXPECT_EQ(file.groups[0].find("text")->texts, std::vector<std::string>{"ü"});
  EXPECT_FALSE(file.groups[0].find("text")->list);
  EXPECT_EQ(file.groups[0].find("list")->texts, (std::vector<std::string>{"a", ""}));
  EXPECT_TRUE(file.groups[0].find("none")->list);
  ASSERT_EQ(file.datasets.size(), 2u);
  EXPECT_EQ(file.datasets[0].name, "/g/w");
  EXPECT_EQ(file.datasets[0].dims, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(file.datasets[0].values, (std::vector<float>{1.5f, -2}));
  EXPECT_EQ(file.datasets[1].values, std::vector<float>{7});
}

TEST(Hdf5Stream, RefusesWhatIsCutShort) {
  const std::string whole = said(say_small);
  for (size_t length = 0; length < whole.size(); ++length)
    expect_bad("convoy-h5 ended in the middle", whole.substr(0, length));
}

TEST(Hdf5Stream, SurvivesEveryFlippedByte) {
  const std::string whole = said(say_small);
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int mask : {1, 0x80, 0xff}) {
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ mask);
      try {
        decode(flipped);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kBadData) << error.what();
      }
    }
  }
}

TEST(Hdf5Stream, RefusesNonsense) {
  expect_bad("not the beginning", "0123456789");
  std::string other_version = said(say_small);
  other_version[4] = 9;
  expect_bad("version 9", other_version);
  expect_bad("message 120", said([](Hdf5Encoder&) {}) + "x");
  expect_bad("an end after 0 objects", said([](Hdf5Encoder& encoder) { encoder.end(); }));
  expect_bad("object /a/b out of order", said([](Hdf5Encoder& encoder) {
               encoder.group({"/", {}});
               encoder.group({"/a/b", {}});
             }));
  expect_bad("object / out of order", said([](Hdf5Encoder& encoder) {
               encoder.group({"/", {}});
               encoder.group({"/", {}});
             }));
  expect_bad("object /a twice", said([](Hdf5Encoder& encoder) {
               encoder.group({"/", {}});
               encoder.group({"/a", {}});
               encoder.dataset("/a", {});
             }));
  expect_bad("object /a/ out of order", said([](Hdf5Encoder& encoder) {
               encoder.group({"/", {}});
               encoder.group({"/a", {}});
               encoder.group({"/a/", {}});
             }));
  expect_bad("a dataset as root", said([](Hdf5Encoder& encoder) { encoder.dataset("/", {}); }));
  expect_bad("in UTF-8", said([](Hdf5Encoder& encoder) { encoder.group({"/", {{"n", false, {"\xff"}}}}); }));
  expect_bad("in UTF-8", said([](Hdf5Encoder& encoder) {
               encoder.group({"/", {{"n", false, {std::string("a\0b", 3)}}}});
             }));
  expect_bad("without control characters", said([](Hdf5Encoder& encoder) {
               encoder.group({"/", {}});
               encoder.group({"/\x1b[2J", {}});
             }));
  expect_bad("attribute of 2 texts", said([](Hdf5Encoder& encoder) {
               encoder.group({"/", {{"n", false, {"a", "b"}}}});
             }));
  expect_bad("rank 33", said([](Hdf5Encoder& encoder) {
               encoder.group({"/", {}});
               encoder.dataset("/w", std::vector<int64_t>(33, 1));
             }));
  expect_bad("negative dimension", said([](Hdf5Encoder& encoder) {
               encoder.group({"/", {}});
               encoder.dataset("/w", std::vector<int64_t>{-1});
             }));
}

TEST(Hdf5Stream, RefusesMoreThanTheFileCanHold) {
  const auto dataset = [](std::vector<int64_t> dims) {
    return said([&](Hdf5Encoder& encoder) {
      encoder.group({"/", {}});
      encoder.dataset("/w", dims);
    });
  };
  expect_bad("/w: 10000 bytes of file cannot be trusted to hold 1000000000 numbers", dataset({1'000'000'000}));
  expect_bad("/w: 10000 bytes of file cannot be trusted", dataset({int64_t{1} << 40, int64_t{1} << 40}));
  expect_bad("convoy-h5 ended", dataset({16'000'000}));  // no more than is free: it is awaited
  expect_bad("more text than a file of 100 bytes holds", said([](Hdf5Encoder& encoder) {
               encoder.group({"/", {{"n", true, std::vector<std::string>(100'000)}}});
             }),
             100);
}

TEST(Hdf5Stream, CarriesElementsInPieces) {
  const std::vector<float> values = {1, 2, 3};
  const auto dataset = [&](Hdf5Encoder& encoder) {
    encoder.group({"/", {}});
    encoder.dataset("/w", std::vector<int64_t>{3});
    encoder.elements(std::span(values).first(2));
  };
  EXPECT_EQ(decode(said([&](Hdf5Encoder& encoder) {
              dataset(encoder);
              encoder.elements({});
              encoder.elements(std::span(values).last(1));
              encoder.end();
            }))
                .datasets.at(0)
                .values,
            values);
  expect_bad("/w: elements in other pieces", said([&](Hdf5Encoder& encoder) {
               dataset(encoder);
               encoder.elements(std::span(values).last(2));
             }));
  // What is wrong is often only found in the middle of a dataset.
  expect_bad("f.h5: /w: damaged", said([&](Hdf5Encoder& encoder) {
               dataset(encoder);
               encoder.error(65, "/w: damaged");
             }));
}

TEST(Hdf5Stream, HandsOnErrors) {
  const auto error = [](int code, const std::string& what) {
    return said([&](Hdf5Encoder& encoder) { encoder.error(code, what); });
  };
  expect_bad("/w: expected a hard link", error(65, "/w: expected a hard link"));
  expect_bad("/w: ?[2J", error(65, "/w: \x1b[2J"));
  expect_bad("in other than UTF-8", error(65, "\xff"));
  expect_bad("as it likes", error(0, "as it likes"));
  expect_error(ExitCode::kUnavailable, {"no Landlock"}, [&] { decode(error(69, "no Landlock")); });
}

}  // namespace
}  // namespace convoy
