#include "core/data/image_folder.h"

#include <unistd.h>

#include "core/data/store_subset.h"
#include "tests/core/base/testing.h"
#include "tests/core/data/testing.h"

namespace convoy {
namespace {

class ImageFolderTest : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& contents = "x") {
    std::filesystem::create_directories(std::filesystem::path(temp_ / path).parent_path());
    put_file(temp_ / path, contents);
  }
  void link(const std::string& to, const std::string& path) {
    ASSERT_EQ(symlink(to.c_str(), (temp_ / path).c_str()), 0);
  }
  void expect_bad(const std::vector<std::string>& parts) {
    expect_error(ExitCode::kBadData, parts, [&] { open_image_folder(temp_.path()); });
  }
  TempDirectory temp_;
};

TEST_F(ImageFolderTest, ClassesByNameThenImagesByPath) {
  put("b/1.png");
  put("a b/x.jpg");  // as a path before a/…, as a class after it
  put("a/10.jpg");
  put("a/9.JPG");
  put("a/deep/er/0.ppm");
  put("B/2.jpeg");
  put("a/notes.txt");
  put("a/.hidden.jpg");
  put("a/.cache/0.jpg");
  put("top.jpg");
  put(".git/x.jpg");
  const auto store = open_image_folder(temp_.path());
  EXPECT_EQ(store->class_names(), (std::vector<std::string>{"B", "a", "a b", "b"}));
  EXPECT_EQ(names_and_labels(*store), (std::vector<std::string>{"B/2.jpeg 0", "a/10.jpg 1", "a/9.JPG 1",
                                                                "a/deep/er/0.ppm 1", "a b/x.jpg 2", "b/1.png 3"}));
}

TEST_F(ImageFolderTest, FilesAreReadAndErrorsNameThem) {
  put("a/1.jpg", "first");
  put("a/2.jpg", "the second");
  put("a/3.jpg");
  link("nowhere", "a/4.jpg");
  const auto store = open_image_folder(temp_.path());
  std::vector<std::byte> scratch;
  EXPECT_EQ(text_of(store->file(1, scratch)), "the second");
  EXPECT_EQ(text_of(store->file(0, scratch)), "first");
  ASSERT_EQ(unlink((temp_ / "a/3.jpg").c_str()), 0);
  for (const int64_t i : {2, 3})
    expect_error(ExitCode::kNoInput, {temp_ / store->name(i), "No such file"}, [&] { store->file(i, scratch); });
}

TEST_F(ImageFolderTest, LinksAreFollowedButNotInCircles) {
  put("elsewhere/deep/1.jpg");
  std::filesystem::create_directories(temp_ / "root/a");
  link("../../elsewhere/deep", "root/a/one");
  link("../../elsewhere/deep", "root/a/two");  // twice the same is no circle
  EXPECT_EQ(names_and_labels(*open_image_folder(temp_ / "root")),
            (std::vector<std::string>{"a/one/1.jpg 0", "a/two/1.jpg 0"}));
  link("..", "elsewhere/deep/up");
  expect_error(ExitCode::kBadData, {"symbolic link to a directory that it is in"},
               [&] { open_image_folder(temp_ / "root"); });
}

TEST_F(ImageFolderTest, ClassesWithoutImagesAreRefused) {
  expect_bad({temp_.path(), "one directory per class"});
  put("a/1.jpg");
  put("b/1.txt");
  expect_bad({temp_ / "b", "found none"});
  expect_error(ExitCode::kNoInput, {temp_ / "none"}, [&] { open_image_folder(temp_ / "none"); });
  expect_error(ExitCode::kNoInput, {"a/1.jpg"}, [&] { open_image_folder(temp_ / "a/1.jpg"); });
}

TEST_F(ImageFolderTest, FingerprintIsOfNamesSizesAndLabels) {
  put("one/a/1.jpg", "abc");
  put("two/a/1.jpg", "xyz");
  const auto print = [&](const char* root) { return open_image_folder(temp_ / root)->fingerprint(); };
  EXPECT_EQ(print("one"), print("two"));
  put("two/a/1.jpg", "longer");
  EXPECT_NE(print("one"), print("two"));
  put("two/a/1.jpg", "abc");
  put("two/b/2.jpg", "abc");
  EXPECT_NE(print("one"), print("two"));
}

TEST_F(ImageFolderTest, ValidationHasTheLabelsOfTraining) {
  put("train/a/1.jpg");
  put("train/b/1.jpg");
  EXPECT_EQ(open_split_folder(temp_ / "train").train->size(), 2);
  EXPECT_EQ(open_split_folder(temp_.path()).validation, nullptr);
  put("test/a/3.jpg");
  put("val/b/2.jpg");
  const ImageSplits splits = open_split_folder(temp_.path());
  EXPECT_EQ(names_and_labels(*splits.train), (std::vector<std::string>{"a/1.jpg 0", "b/1.jpg 1"}));
  EXPECT_EQ(names_and_labels(*splits.validation), (std::vector<std::string>{"b/2.jpg 1"}));
  EXPECT_EQ(splits.validation->class_names(), splits.train->class_names());
  EXPECT_EQ(names_and_labels(*open_image_folder(temp_.path())),
            (std::vector<std::string>{"train/a/1.jpg 0", "train/b/1.jpg 1", "val/b/2.jpg 1"}));
  put("val/c/2.jpg");
  expect_error(ExitCode::kBadData, {temp_ / "val/c", "class of the training images"},
               [&] { open_split_folder(temp_.path()); });
}

TEST_F(ImageFolderTest, ANameAloneDecidesWhatIsForValidation) {
  for (int i = 0; i < 1000; ++i) put("a/" + std::to_string(i) + ".jpg");
  const ImageSplits before = split_by_name(open_image_folder(temp_.path()), 0.2);
  const std::vector<std::string> validation = names_and_labels(*before.validation),
                                 train = names_and_labels(*before.train);
  EXPECT_EQ(validation.size() + train.size(), 1000u);
  EXPECT_NEAR(static_cast<double>(validation.size()), 200, 50);  // 4 standard deviations
  for (int i = 0; i < 1000; i += 2) ASSERT_EQ(unlink((temp_ / ("a/" + std::to_string(i) + ".jpg")).c_str()), 0);
  const ImageSplits after = split_by_name(open_image_folder(temp_.path()), 0.2);
  for (const std::string& image : names_and_labels(*after.validation))
    EXPECT_EQ(std::count(validation.begin(), validation.end(), image), 1);
  for (const std::string& image : names_and_labels(*after.train))
    EXPECT_EQ(std::count(train.begin(), train.end(), image), 1);
  EXPECT_NE(before.train->fingerprint(), before.validation->fingerprint());
}

TEST_F(ImageFolderTest, NoSideOfASplitIsEmpty) {
  put("a/1.jpg", "only");
  expect_error(ExitCode::kBadData, {"at least 2 images"}, [&] { split_by_name(open_image_folder(temp_.path()), 0.5); });
  put("a/2.jpg");
  put("a/3.jpg");
  for (const double fraction : {1e-9, 1 - 1e-9}) {
    const ImageSplits splits = split_by_name(open_image_folder(temp_.path()), fraction);
    EXPECT_EQ(splits.validation->size(), fraction < 0.5 ? 1 : 2);
    EXPECT_EQ(splits.train->size(), fraction < 0.5 ? 2 : 1);
  }
}

TEST(ImageFolder, RealOnesAreReadWhole) {
  const std::string signs = test_data("sign-digits"), imagenette = test_data("imagenette224-mini");
  if (signs.empty() || imagenette.empty()) GTEST_SKIP() << "no sign-digits, or no imagenette224-mini";
  EXPECT_EQ(open_image_folder(signs)->size(), 2062);
  EXPECT_EQ(open_image_folder(signs)->class_names().size(), 10u);
  const ImageSplits splits = open_split_folder(imagenette);
  EXPECT_EQ(splits.train->size(), 600);
  EXPECT_EQ(splits.validation->size(), 200);
  EXPECT_EQ(splits.validation->label(199), 9);
}

}  // namespace
}  // namespace convoy
