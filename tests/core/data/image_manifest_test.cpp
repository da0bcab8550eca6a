#include "core/data/image_manifest.h"

#include "tests/core/base/testing.h"
#include "tests/core/data/testing.h"

namespace convoy {
namespace {

using Strings = std::vector<std::string>;

class ImageManifestTest : public testing::Test {
 protected:
  std::unique_ptr<ImageStore> open(const std::string& name, const std::string& text) {
    put_file(temp_ / name, text);
    return open_image_manifest(temp_ / name);
  }
  void expect_bad(const Strings& parts, const std::string& name, const std::string& text) {
    expect_error(ExitCode::kBadData, parts, [&] { open(name, text); });
  }
  TempDirectory temp_;
};

TEST_F(ImageManifestTest, CsvWithColumnsInAnyOrder) {
  const auto store = open("a.csv", "width,label,path\n32,2,\"x,1.jpg\"\n32,0,/abs/y.png\n");
  EXPECT_EQ(names_and_labels(*store), (Strings{"x,1.jpg 2", "/abs/y.png 0"}));
  EXPECT_EQ(store->class_names(), (Strings{"0", "1", "2"}));
}

TEST_F(ImageManifestTest, NamesAreSortedToNumbers) {
  const auto store = open("a.jsonl", R"({"path": "1.jpg", "label": "wolf", "size": [1, 2]})"
                                     "\n\n"
                                     R"({"path": "2.jpg", "label": "Fox"})"
                                     "\r\n"
                                     R"({"path": "3.jpg", "label": "wolf"})");
  EXPECT_EQ(names_and_labels(*store), (Strings{"1.jpg 1", "2.jpg 0", "3.jpg 1"}));
  EXPECT_EQ(store->class_names(), (Strings{"Fox", "wolf"}));
}

TEST_F(ImageManifestTest, PathsStartAtTheManifest) {
  std::filesystem::create_directory(temp_ / "images");
  put_file(temp_ / "images/1.jpg", "one");
  put_file(temp_ / "2.jpg", "two");
  const auto store = open("a.csv", "path,label\nimages/1.jpg,0\n" + temp_.path() + "/2.jpg,0\n3.jpg,0\n");
  std::vector<std::byte> scratch;
  EXPECT_EQ(text_of(store->file(0, scratch)), "one");
  EXPECT_EQ(text_of(store->file(1, scratch)), "two");
  expect_error(ExitCode::kNoInput, {temp_ / "3.jpg"}, [&] { store->file(2, scratch); });
  EXPECT_EQ(store->fingerprint().size(), 32u);
}

TEST_F(ImageManifestTest, SplitsShareTheirClasses) {
  open("a.csv", "path,label,split\n1,b,train\n2,a,val\n3,c,test\n4,b,train\n");
  const ImageSplits splits = open_split_manifest(temp_ / "a.csv");
  EXPECT_EQ(names_and_labels(*splits.train), (Strings{"1 1", "4 1"}));
  EXPECT_EQ(names_and_labels(*splits.validation), (Strings{"2 0"}));
  EXPECT_EQ(splits.train->class_names(), (Strings{"a", "b", "c"}));
  open("a.csv", "path,label\n1,b\n");
  EXPECT_EQ(open_split_manifest(temp_ / "a.csv").validation, nullptr);
  open("a.csv", "path,label,split\n1,b,test\n");
  expect_error(ExitCode::kBadData, {"split train"}, [&] { open_split_manifest(temp_ / "a.csv"); });
}

TEST_F(ImageManifestTest, ErrorsNameFileAndLine) {
  const std::string csv = temp_ / "a.csv", jsonl = temp_ / "a.jsonl";
  expect_error(ExitCode::kNoInput, {temp_ / "none.csv"}, [&] { open_image_manifest(temp_ / "none.csv"); });
  expect_bad({csv, "names the columns"}, "a.csv", "");
  expect_bad({csv + ":1", "column 'label'", "found 0"}, "a.csv", "path,class\n");
  expect_bad({csv + ":1", "column 'path'", "found 2"}, "a.csv", "path,path,label\n");
  expect_bad({csv, "expected images"}, "a.csv", "path,label\n");
  expect_bad({csv + ":3", "expected 2 fields, found 3"}, "a.csv", "path,label\n1,2\n1,2,3\n");
  expect_bad({csv + ":2", "expected a path"}, "a.csv", "path,label\n,2\n");
  expect_bad({csv + ":2", "expected a label"}, "a.csv", "path,label\n1,\n");
  expect_bad({csv + ":3", "expected a number", "'cat'"}, "a.csv", "path,label\n1,2\n1,cat\n");
  expect_bad({csv + ":3", "expected a name", "'2'"}, "a.csv", "path,label\n1,cat\n1,2\n");
  expect_bad({csv + ":2", "0 to 999999", "1000000"}, "a.csv", "path,label\n1,1000000\n");
  expect_bad({csv + ":2", "split train", "'dev'"}, "a.csv", "path,label,split\n1,2,dev\n");
  expect_bad({csv + ":3", "in every line or in none"}, "a.csv", "path,label,split\n1,2,train\n1,2,\n");
  expect_bad({csv + ":3", "in every line or in none"}, "a.csv", "path,label,split\n1,2,\n1,2,train\n");
  expect_bad({jsonl + ":2", "field 'label'"}, "a.jsonl", "{\"path\": \"a\", \"label\": 1}\n{\"path\": \"a\"}\n");
  expect_bad({jsonl + ":1", "field 'label'"}, "a.jsonl", "{\"path\": \"a\", \"label\": 1.5}\n");
  expect_bad({jsonl + ":1", "expected a path"}, "a.jsonl", "{\"path\": \"a\\u0000\", \"label\": 1}\n");
  expect_bad({jsonl + ":2", "number", "-1"}, "a.jsonl",
             "{\"path\": \"a\", \"label\": 1}\n{\"path\": \"a\", \"label\": -1}\n");
}

}  // namespace
}  // namespace convoy
