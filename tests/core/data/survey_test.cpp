#include "core/data/survey.h"

#include "core/data/image_folder.h"
#include "core/data/pack.h"
#include "core/data/packed_file.h"
#include "core/image/encoder.h"
#include "tests/core/base/testing.h"
#include "tests/core/data/testing.h"

namespace convoy {
namespace {

using Strings = std::vector<std::string>;

Image noise(int width, int height, int channels, uint32_t seed) {
  Image image;
  image.resize(width, height, channels);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>((seed = seed * 1664525 + 1013904223) >> 24);
  return image;
}

void put_image(const std::string& path, const std::vector<std::byte>& file) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  put_file(path, text_of(file));
}

TEST(PixelSums, AreThoseOfTheSimplestLoop) {
  for (const int width : {1, 15, 16, 17, 333, 9000}) {
    const Image image = noise(width, 31, 3, 5);
    PixelSums sums;
    sums.add(image);
    sums.add(image);
    std::array<double, 3> values = {}, squares = {};
    for (size_t i = 0; i < image.pixels.size(); ++i) {
      values[i % 3] += 2 * image.pixels[i];
      squares[i % 3] += 2.0 * image.pixels[i] * image.pixels[i];
    }
    EXPECT_EQ(sums.pixels, 2 * 31 * width);
    EXPECT_EQ(sums.values, values);
    EXPECT_EQ(sums.squares, squares);
  }
  Image white;
  white.resize(3000, 1000, 3);
  std::ranges::fill(white.pixels, uint8_t{255});
  PixelSums sums;
  sums.add(white);
  EXPECT_EQ(sums.mean(2), 1);
  EXPECT_EQ(sums.deviation(2), 0);
}

class SurveyTest : public testing::Test {
 protected:
  SurveyTest() {
    put_image(temp_ / "f/a/1.png", encode_png(noise(40, 30, 3, 1)));
    put_image(temp_ / "f/a/2.jpg", encode_jpeg(noise(20, 10, 1, 2), 90));
    put_image(temp_ / "f/b/3.ppm", encode_pnm(noise(8, 50, 3, 3)));
    put_image(temp_ / "f/b/4.jpg", to_bytes("garbage"));
    const std::vector<std::byte> whole = encode_jpeg(noise(64, 64, 3, 4), 90);
    put_image(temp_ / "f/b/5.jpg", {whole.begin(), whole.begin() + static_cast<ptrdiff_t>(whole.size()) / 2});
    put_image(temp_ / "f/c/6.jpg", {});
  }
  TempDirectory temp_;
  Strings bad_;
  const OnBadImage on_bad_ = [this](const std::string& name, const std::string& reason) {
    bad_.push_back(name + "|" + reason);
  };
  int64_t progress_ = 0;
  const OnProgress on_progress_ = [this](int64_t images) { progress_ = images; };
};

TEST_F(SurveyTest, BadImagesAreNamedInOrderAndTheOthersDescribed) {
  const auto store = open_image_folder(temp_ / "f");
  for (const int threads : {1, 3}) {
    bad_.clear();
    const Survey survey = survey_images(*store, threads, on_bad_, on_progress_);
    ASSERT_EQ(bad_.size(), 3u);
    EXPECT_TRUE(bad_[0].starts_with("b/4.jpg|expected a JPEG")) << bad_[0];
    EXPECT_TRUE(bad_[1].starts_with("b/5.jpg|")) << bad_[1];
    EXPECT_TRUE(bad_[2].starts_with("c/6.jpg|")) << bad_[2];
    EXPECT_EQ(progress_, 6);
    EXPECT_EQ(survey.images, 3);
    EXPECT_EQ(survey.bad, 3);
    EXPECT_EQ(survey.by_class, (std::vector<int64_t>{2, 1, 0}));
    EXPECT_EQ(survey.by_format, (std::map<std::string, int64_t>{{"JPEG", 1}, {"PNG", 1}, {"PNM", 1}}));
    EXPECT_EQ(survey.width.least, 8);
    EXPECT_EQ(survey.width.most, 40);
    EXPECT_EQ(survey.height.mean(), 30);
    EXPECT_EQ(survey.pixels.pixels, 40 * 30 + 20 * 10 + 8 * 50);
  }
}

TEST_F(SurveyTest, PackingLeavesOutWhatIsBad) {
  const auto store = open_image_folder(temp_ / "f");
  PosixFileSystem files;
  const PackReport report = pack_images(*store, files, temp_ / "p", {.decoded = true}, 2, on_bad_, on_progress_);
  EXPECT_EQ(report.images, 3);
  EXPECT_EQ(report.bad, 3);
  EXPECT_EQ(report.bytes, static_cast<int64_t>(std::filesystem::file_size(temp_ / "p")));
  const PackedFile packed(temp_ / "p");
  EXPECT_EQ(names_and_labels(packed), (Strings{"a/1.png 0", "a/2.jpg 0", "b/3.ppm 1"}));
  const Survey survey = survey_images(packed, 1, on_bad_, on_progress_),
               before = survey_images(*store, 1, on_bad_, on_progress_);
  EXPECT_EQ(survey.bad, 0);
  EXPECT_EQ(survey.pixels.values, before.pixels.values);  // lossless
}

TEST_F(SurveyTest, PackingIsTheSameForAnyNumberOfThreads) {
  const auto store = open_image_folder(temp_ / "f");
  PosixFileSystem files;
  for (const int threads : {1, 5})
    pack_images(*store, files, temp_ / std::to_string(threads), {.side = 16}, threads, on_bad_, on_progress_);
  EXPECT_EQ(get_file(temp_ / "1"), get_file(temp_ / "5"));
  const OnBadImage refuse = [](const std::string& name, const std::string&) { throw Error(ExitCode::kBadData, name); };
  expect_error(ExitCode::kBadData, {"b/4.jpg"},
               [&] { pack_images(*store, files, temp_ / "refused", {}, 2, refuse, on_progress_); });
  for (const auto& entry : std::filesystem::directory_iterator(temp_.path()))
    EXPECT_FALSE(entry.path().filename().string().starts_with("refused")) << entry.path();
}

TEST_F(SurveyTest, ADamagedImageOfAPackedFileIsBadThoughItDecodes) {
  const auto store = open_image_folder(temp_ / "f");
  PosixFileSystem files;
  pack_images(*store, files, temp_ / "p", {.decoded = true}, 1, on_bad_, on_progress_);
  std::string contents = get_file(temp_ / "p");
  contents[200] ^= 1;  // a pixel of the first
  put_file(temp_ / "p", contents);
  bad_.clear();
  EXPECT_EQ(survey_images(PackedFile(temp_ / "p"), 2, on_bad_, on_progress_).bad, 1);
  EXPECT_NE(bad_.at(0).find("a/1.png: damaged: its checksum"), std::string::npos) << bad_[0];
}

// Expected values: Pillow and NumPy, over all files,
//   x = np.asarray(Image.open(f).convert("RGB"), np.float64) / 255
TEST(Survey, RealImages) {
  const std::string folder = test_data("imagenette224-mini");
  if (folder.empty()) GTEST_SKIP() << "no imagenette224-mini";
  const auto ignore_bad = [](const std::string&, const std::string&) {};
  const Survey survey = survey_images(*open_image_folder(folder), 2, ignore_bad, [](int64_t) {});
  EXPECT_EQ(survey.images, 800);
  EXPECT_EQ(survey.bad, 0);
  EXPECT_EQ(survey.by_class, std::vector<int64_t>(10, 80));
  EXPECT_EQ(survey.width.least, 224);
  EXPECT_EQ(survey.pixels.pixels, 40140800);
  const std::array<double, 3> mean = {0.45057126, 0.45152857, 0.42507117};
  const std::array<double, 3> deviation = {0.28048422, 0.27729884, 0.29977067};
  for (int c = 0; c < 3; ++c) {
    EXPECT_NEAR(survey.pixels.mean(c), mean[static_cast<size_t>(c)], 1e-6);
    EXPECT_NEAR(survey.pixels.deviation(c), deviation[static_cast<size_t>(c)], 1e-6);
  }
}

}  // namespace
}  // namespace convoy
