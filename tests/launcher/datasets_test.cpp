#include "launcher/datasets.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include <nlohmann/json.hpp>

#include "tests/core/data/pictures.h"
#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

constexpr const char* kImages = R"(
experiment: {name: images}
model: {layers: [flatten, linear: {units: classes}]}
data: {format: images, path: pictures, classes: 3, shape: [24, 32, 3]}
batch: {global: 4}
train: {epochs: 1}
optimizer: {type: sgd, learning_rate: 0.1}
)";

class DatasetsTest : public ConfigTest {
 protected:
  void SetUp() override {
    ConfigTest::SetUp();
    put_pictures(pictures(), 30, 3);
  }

  std::string pictures() const { return directory_ / "pictures"; }
  Datasets open(const std::vector<std::string>& overrides = {}) {
    return open_datasets(load(kImages, overrides).data, 1, bad_samples_);
  }
  // Reads all; the numbers of samples whose labels or pixels differ from those of `other`.
  static std::set<int64_t> different(const Dataset& one, const Dataset& other) {
    const auto bytes = static_cast<size_t>(one.sample().elements());
    std::vector<uint8_t> pixels(bytes), others(bytes);
    std::set<int64_t> found;
    for (int64_t i = 0; i < one.size(); ++i) {
      const int label = one.read(i, 0, pixels.data()), other_label = other.read(i, 0, others.data());
      if (label != other_label || pixels != others) found.insert(i);
    }
    return found;
  }
  static void read_all(const Dataset& data) { different(data, data); }

  BadSamples bad_samples_{Log(LogLevel::kError), 0};
};

TEST_F(DatasetsTest, ImagesOfAFolderAreCutAndSplit) {
  const Datasets all = open(), split = open({"data.validation=0.2"});
  EXPECT_EQ(all.train->size(), 30);
  EXPECT_EQ(all.train->sample(), (Shape{1, 24, 32, 3}));
  EXPECT_EQ(all.test, nullptr);
  ASSERT_NE(split.test, nullptr);
  EXPECT_EQ(split.train->size() + split.test->size(), 30);
  EXPECT_EQ(training_samples(load(kImages, {"data.validation=0.2"}).data), split.train->size());
  EXPECT_EQ(sample_shape(load(kImages).data), (Shape{1, 24, 32, 3}));
}

TEST_F(DatasetsTest, TrainingCropsDifferByEpochAndEvaluationDoesNot) {
  const Datasets sets = open({"data.validation=0.5"});
  const auto bytes = static_cast<size_t>(sets.train->sample().elements());
  std::vector<uint8_t> first(bytes), second(bytes);
  sets.train->read(0, 0, first.data());
  sets.train->read(0, 1, second.data());
  EXPECT_NE(first, second);
  sets.test->read(0, 0, first.data());
  sets.test->read(0, 1, second.data());
  EXPECT_EQ(first, second);
}

TEST_F(DatasetsTest, AugmentationIsForTraining) {
  const std::vector<std::string> centre = {"data.crop.type=centre", "data.validation=0.5"};
  std::vector<std::string> flipped = centre, flipped_by_device = centre;
  flipped.insert(flipped.end(), {"data.augment.flip=1"});
  flipped_by_device.insert(flipped_by_device.end(), {"data.augment.flip=1", "data.cache=device"});
  const Datasets plain = open(centre), augmented = open(flipped), on_device = open(flipped_by_device);
  EXPECT_EQ(different(*plain.train, *augmented.train).size(), static_cast<size_t>(plain.train->size()));
  EXPECT_TRUE(different(*plain.test, *augmented.test).empty());
  EXPECT_TRUE(different(*plain.train, *on_device.train).empty());
}

TEST_F(DatasetsTest, DecodedSamplesStayInMemory) {
  const Datasets sets = open({"data.crop.type=centre", "data.cache=ram"}), plain = open({"data.crop.type=centre"});
  EXPECT_TRUE(different(*sets.train, *plain.train).empty());
  std::filesystem::remove_all(pictures());
  EXPECT_THROW(read_all(*plain.train), Error);
  read_all(*sets.train);
}

TEST_F(DatasetsTest, ABadImageFailsWithItsNameOrIsSkippedAndTold) {
  const std::string victim = pictures() + "/b/16.jpg", whole = get_file(victim);
  put_file(victim, std::string_view(whole).substr(0, whole.size() / 2));
  expect_error(ExitCode::kBadData, {"b/16.jpg"}, [&] { read_all(*open({"data.crop.type=centre"}).train); });

  const std::vector<std::string> skip = {"data.crop.type=centre", "data.on_error=skip", "data.max_bad=0.05"};
  bad_samples_.open(directory_ / "bad_samples.jsonl");
  const Datasets sets = open(skip);
  read_all(*sets.train);
  EXPECT_EQ(bad_samples_.count(), 1);
  EXPECT_EQ(bad_samples_.waiting(), 1U);
  bad_samples_.flush();
  EXPECT_EQ(bad_samples_.waiting(), 0U);
  const auto line = nlohmann::json::parse(get_file(directory_ / "bad_samples.jsonl"));
  EXPECT_EQ(line["split"], "train");
  EXPECT_EQ(line["replacement"], line["sample"].get<int64_t>() + 1);
  EXPECT_EQ(line["rank"], 0);
  EXPECT_NE(line["reason"].get<std::string>().find("b/16.jpg"), std::string::npos) << line;

  put_file(pictures() + "/a/3.jpg", "not an image");
  expect_error(ExitCode::kBadData, {"more than 1 of 30 samples", "data.max_bad"}, [&] { read_all(*open(skip).train); });
}

TEST_F(DatasetsTest, AFileThatVanishesWhileTrainingIsABadSample) {
  const Datasets sets = open({"data.on_error=skip", "data.max_bad=0.1"});
  read_all(*sets.train);
  std::filesystem::remove(pictures() + "/c/2.jpg");
  read_all(*sets.train);
  EXPECT_EQ(bad_samples_.count(), 1);
}

TEST_F(DatasetsTest, ClassesMustFit) {
  expect_error(ExitCode::kConfig, {"x.yaml", "data.classes: expected the 3 classes of", "found 2"},
               [&] { open({"data.classes=2"}); });
  expect_error(ExitCode::kConfig, {"data.classes: expected the 3 classes of"}, [&] { open({"data.classes=4"}); });
  std::filesystem::create_directories(directory_ / "others/a");
  put_bytes(directory_ / "others/a/x.jpg", encode_jpeg(picture(20, 20, 1), 90));
  const std::string others = directory_ / "others";
  expect_error(ExitCode::kBadData, {others, "expected the classes of the images to train on"},
               [&] { open({"data.test_path=" + others}); });
}

TEST_F(DatasetsTest, ALimitTakesImagesOfEveryClass) {
  const Datasets few = open({"data.train_limit=9"});
  EXPECT_EQ(few.train->size(), 9);
  std::set<int> labels;
  std::vector<uint8_t> pixels(static_cast<size_t>(few.train->sample().elements()));
  for (int64_t i = 0; i < 9; ++i) labels.insert(few.train->read(i, 0, pixels.data()));
  EXPECT_EQ(labels.size(), 3U);
  EXPECT_EQ(few.class_names, (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(DatasetsTest, ATestSetMayLackTheLargestNumberedClass) {
  put_file(directory_ / "train.csv", "path,label\npictures/a/0.jpg,0\npictures/b/1.jpg,1\npictures/c/2.jpg,2\n");
  put_file(directory_ / "test.csv", "path,label\npictures/a/3.jpg,0\npictures/b/4.jpg,1\n");
  const Datasets sets = open({"data.path=train.csv", "data.test_path=test.csv"});
  EXPECT_EQ(sets.test->size(), 2);
  EXPECT_EQ(sets.class_names.size(), 3U);
}

TEST_F(DatasetsTest, SettingsThatExcludeEachOtherAreNamed) {
  const auto refused = [&](const std::vector<std::string>& overrides, const std::vector<std::string>& parts) {
    expect_error(ExitCode::kConfig, parts, [&] { open(overrides); });
  };
  refused({"data.cache=device"}, {"data.cache", "decoded crops differ from epoch to epoch"});
  refused({"data.cache=ram"}, {"data.cache", "decoded crops differ from epoch to epoch"});
  refused({"data.crop.type=centre", "data.cache=device", "data.augment.hue=0.2"}, {"data.augment", "none or ram"});
  refused({"data.augment.cutout=4", "data.augment.erasing=0.2"}, {"data.augment.cutout", "excludes"});
  refused({"data.validation=0.2", "data.test_path=x"}, {"data.validation", "excludes data.test_path"});
  refused({"data.crop.scale=[0.5, 0.2]"}, {"data.crop.scale", "expected [least, most]"});
  refused({"data.shape=[8, 8, 2]"}, {"data.shape", "expected 1 channel (grey) or 3, found 2"});
  refused({"data.max_bad=0.2"}, {"data.max_bad", "only for on_error: skip"});
  refused({"data.augment.magnitude=3"}, {"data.augment.magnitude", "only for policy: randaugment"});
  refused({"data.train_size=3"}, {"data.train_size", "only for format: synthetic"});
  refused({"data.format=cifar", "data.shape=null"}, {"data.classes", "expected 10 or 100 of CIFAR, found 3"});
}

}  // namespace
}  // namespace convoy
