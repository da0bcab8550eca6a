#include "core/data/packed_writer.h"
#include "tests/core/base/testing.h"
#include "tests/core/data/testing.h"

namespace convoy {
namespace {

using Strings = std::vector<std::string>;

class OpenImageStore : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& contents = "x") {
    std::filesystem::create_directories(std::filesystem::path(temp_ / path).parent_path());
    put_file(temp_ / path, contents);
  }
  Strings opened(const std::string& path) { return names_and_labels(*open_image_store(temp_ / path)); }
  TempDirectory temp_;
};

TEST_F(OpenImageStore, APathTellsWhatItIs) {
  const std::string shard = tar_file("1.jpg", "") + tar_file("1.cls", "0") + tar_end();
  put("folder/a/1.jpg");
  put("folder/archive.tar", shard);  // beside the classes
  EXPECT_EQ(opened("folder"), Strings{"a/1.jpg 0"});
  put("both/train/a/1.jpg");
  put("both/val/a/2.jpg");
  EXPECT_EQ(opened("both"), (Strings{"train/a/1.jpg 0", "val/a/2.jpg 0"}));
  put("list.csv", "path,label\n1.jpg,0\n");
  EXPECT_EQ(opened("list.csv"), Strings{"1.jpg 0"});
  put("list.jsonl", R"({"path": "1.jpg", "label": 0})");
  EXPECT_EQ(opened("list.jsonl"), Strings{"1.jpg 0"});
  put("shards/0.tar", shard);
  for (const char* path : {"shards", "shards/0.tar", "shards/{0..0}.tar"})
    EXPECT_EQ(opened(path), Strings{"0.tar: 1.jpg 0"});
  PosixFileSystem files;
  PackedWriter writer(files, temp_ / "packed", {"a"});
  writer.add("a/1.jpg", 0, {});
  writer.finish();
  EXPECT_EQ(opened("packed"), Strings{"a/1.jpg 0"});
}

TEST_F(OpenImageStore, WhatIsNoDataSetIsRefused) {
  expect_error(ExitCode::kNoInput, {temp_ / "none", "found nothing"}, [&] { opened("none"); });
  expect_error(ExitCode::kNoInput, {temp_ / "none.tar"}, [&] { opened("none.tar"); });
  expect_error(ExitCode::kNoInput, {temp_ / "none.csv"}, [&] { opened("none.csv"); });
  put("file");
  expect_error(ExitCode::kBadData, {temp_ / "file", "none of these"}, [&] { opened("file"); });
  expect_error(ExitCode::kBadData, {"one directory per class"}, [&] { opened(""); });
}

TEST_F(OpenImageStore, SplitsAreTold) {
  put("both/train/a/1.jpg");
  put("both/val/a/2.jpg");
  const ImageSplits folder = open_image_splits(temp_ / "both");
  EXPECT_EQ(names_and_labels(*folder.train), Strings{"a/1.jpg 0"});
  EXPECT_EQ(names_and_labels(*folder.validation), Strings{"a/2.jpg 0"});
  EXPECT_EQ(open_image_splits(temp_ / "both/train").validation, nullptr);
  put("list.csv", "path,label,split\n1.jpg,0,train\n2.jpg,0,val\n");
  EXPECT_EQ(names_and_labels(*open_image_splits(temp_ / "list.csv").validation), Strings{"2.jpg 0"});
  put("0.tar", tar_file("1.jpg", "") + tar_file("1.cls", "0") + tar_end());
  const ImageSplits shard = open_image_splits(temp_ / "0.tar");
  EXPECT_EQ(shard.train->size(), 1);
  EXPECT_EQ(shard.validation, nullptr);
}

}  // namespace
}  // namespace convoy
