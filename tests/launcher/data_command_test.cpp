// convoy data …, but for main().
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "core/data/packed_file.h"
#include "core/image/decoder.h"
#include "core/image/encoder.h"
#include "launcher/commands/commands.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

using Json = nlohmann::json;

Image filled(int width, int height, uint8_t value) {
  Image image;
  image.resize(width, height, 3);
  std::ranges::fill(image.pixels, value);
  return image;
}

class DataCommand : public testing::Test {
 protected:
  DataCommand() {
    put("f/cat/1.png", encode_png(filled(40, 20, 255)));
    put("f/cat/2.ppm", encode_pnm(filled(20, 20, 0)));
    put("f/dog/3.jpg", encode_jpeg(filled(10, 30, 255), 90));
  }
  void put(const std::string& path, const std::vector<std::byte>& file) {
    std::filesystem::create_directories(std::filesystem::path(temp_ / path).parent_path());
    put_file(temp_ / path, {reinterpret_cast<const char*>(file.data()), file.size()});
  }
  // Standard output of `convoy data ARGUMENTS`, which ends with `code`.
  std::string run(std::vector<std::string> arguments, ExitCode code = ExitCode::kDone) {
    arguments.insert(arguments.begin(), "data");
    testing::internal::CaptureStdout();
    const int found = data_command(parse_command_line(arguments));
    std::fflush(stdout);
    EXPECT_EQ(found, static_cast<int>(code));
    return testing::internal::GetCapturedStdout();
  }
  void expect_usage(const std::vector<std::string>& parts, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "data");
    expect_error(ExitCode::kUsage, parts, [&] { data_command(parse_command_line(arguments)); });
  }
  TempDirectory temp_;
};

TEST_F(DataCommand, GoodImagesAreCounted) {
  EXPECT_TRUE(run({"verify", temp_ / "f", "--threads=2"}).starts_with("3 images, 0 bad; "));
}

TEST_F(DataCommand, PackedImagesAreThoseOfTheFolder) {
  const std::string out = run({"pack", temp_ / "f", temp_ / "p"});
  EXPECT_NE(out.find("p: 3 images"), std::string::npos) << out;
  const PackedFile packed(temp_ / "p");
  EXPECT_EQ(packed.size(), 3);
  EXPECT_EQ(packed.name(2), "dog/3.jpg");
  const Json stat = Json::parse(run({"stat", temp_ / "p", "--json"}));
  EXPECT_EQ(stat, Json::parse(run({"stat", temp_ / "f", "--json"})));
  EXPECT_EQ(stat["images"], 3);
  EXPECT_EQ(stat["formats"], (Json{{"JPEG", 1}, {"PNG", 1}, {"PNM", 1}}));
  EXPECT_EQ(stat["width"], (Json{{"min", 10}, {"mean", 70.0 / 3}, {"max", 40}}));
  EXPECT_EQ(stat["classes"][0], (Json{{"name", "cat"}, {"images", 2}}));
  EXPECT_NEAR(stat["mean"][0], 1100.0 / 1500, 1e-6);
  EXPECT_EQ(run({"stat", temp_ / "p"}).substr(0, 23), "3 images of 2 classes, ");
}

TEST_F(DataCommand, PackMakesSmallerOrDecodedImages) {
  run({"pack", temp_ / "f", temp_ / "p", "--side=10", "--quality=80"});
  const Json small = Json::parse(run({"stat", temp_ / "p", "--json"}));
  EXPECT_EQ(small["width"], (Json{{"min", 10}, {"mean", 40.0 / 3}, {"max", 20}}));
  EXPECT_EQ(small["formats"], (Json{{"JPEG", 3}}));
  run({"pack", temp_ / "f", temp_ / "p", "--decoded"});
  EXPECT_EQ(Json::parse(run({"stat", temp_ / "p", "--json"}))["formats"], (Json{{"PNM", 3}}));
}

TEST_F(DataCommand, BadImagesAreListedLeftOutOrRefused) {
  put("f/dog/4\n.jpg", {});
  const std::string text = run({"verify", temp_ / "f"}, ExitCode::kBadData);
  EXPECT_TRUE(text.starts_with("dog/4?.jpg: expected an image")) << text;
  EXPECT_NE(text.find("4 images, 1 bad"), std::string::npos) << text;
  const Json json = Json::parse(run({"verify", temp_ / "f", "--json"}, ExitCode::kBadData));
  EXPECT_EQ(json["images"], 4);
  EXPECT_EQ(json["bad"][0]["name"], "dog/4?.jpg");
  EXPECT_EQ(Json::parse(run({"stat", temp_ / "f", "--json"}))["bad"], 1);
  EXPECT_NE(run({"stat", temp_ / "f"}).find("1 more are bad"), std::string::npos);
  expect_error(ExitCode::kBadData, {"dog/4", "--on_error=skip"}, [&] { run({"pack", temp_ / "f", temp_ / "p"}); });
  testing::internal::GetCapturedStdout();
  EXPECT_FALSE(std::filesystem::exists(temp_ / "p"));
  testing::internal::CaptureStderr();
  const std::string packed = run({"pack", temp_ / "f", temp_ / "p", "--on_error=skip"});
  EXPECT_NE(testing::internal::GetCapturedStderr().find("warning: left out: dog/4"), std::string::npos);
  EXPECT_NE(packed.find("; 1 bad ones left out"), std::string::npos) << packed;
}

TEST_F(DataCommand, SplitsArePackedOneByOne) {
  put("both/train/a/1.ppm", encode_pnm(filled(2, 2, 0)));
  put("both/val/a/2.ppm", encode_pnm(filled(2, 2, 0)));
  expect_usage({"--split=train"}, {"pack", temp_ / "both", temp_ / "p"});
  run({"pack", temp_ / "both", temp_ / "p", "--split=validation"});
  EXPECT_EQ(PackedFile(temp_ / "p").name(0), "a/2.ppm");
  expect_usage({"train or validation", "'test'"}, {"pack", temp_ / "both", temp_ / "p", "--split=test"});
}

TEST_F(DataCommand, ShownSamplesAreThoseOfTraining) {
  put_file(temp_ / "x.yaml",
           "experiment: {name: x}\nmodel: {layers: [flatten, linear: {units: classes}]}\n"
           "data: {format: images, path: f, classes: 2, shape: [50, 100, 3]}\n"
           "batch: {global: 1}\ntrain: {epochs: 1}\noptimizer: {type: sgd, learning_rate: 1}\n");
  const std::string out =
      run({"show", temp_ / "x.yaml", "--samples=3", "--out=" + (temp_ / "sheet.png"), "data.mix.mixup=1"});
  EXPECT_EQ(out, (temp_ / "sheet.png") + ": 3 training samples\n");
  const std::vector<std::byte> file = read_file(temp_ / "sheet.png", 1 << 20);
  ImageDecoder decoder(3);
  const ImageSize size = decoder.open(file, "sheet.png");
  Image sheet;
  decoder.decode({0, 0, size.width, size.height}, size, sheet);
  EXPECT_GE(size.width, 200);  // two by two
  EXPECT_GE(size.height, 100);
  run({"show", temp_ / "x.yaml", "--samples=1", "--out=" + (temp_ / "one.png")});
  EXPECT_LT(read_file(temp_ / "one.png", 1 << 20).size(), file.size());
  const auto show = [&](const std::string& more) {
    return [this, more] { data_command(parse_command_line({"data", "show", temp_ / "x.yaml", more})); };
  };
  expect_error(ExitCode::kConfig, {"data.train_size: only for format: synthetic"}, show("data.train_size=3"));
  expect_error(ExitCode::kCannotCreate, {"no/such/sheet.png"}, show("--out=" + (temp_ / "no/such/sheet.png")));
  ASSERT_EQ(mkfifo((temp_ / "pipe").c_str(), 0600), 0);
  expect_error(ExitCode::kCannotCreate, {"pipe", "a regular file"}, show("--out=" + (temp_ / "pipe")));
  expect_error(ExitCode::kCannotCreate, {"a regular file"}, show("--out=" + temp_.path()));
  std::filesystem::create_symlink("x.yaml", temp_ / "link");
  expect_error(ExitCode::kCannotCreate, {"link", "a regular file"}, show("--out=" + (temp_ / "link")));
}

TEST_F(DataCommand, MistakesAreUsage) {
  expect_usage({"pack, verify, stat, show or fetch"}, {});
  expect_usage({"data: unknown action 'pakc', did you mean 'pack'"}, {"pakc"});
  expect_usage({"a file to write"}, {"pack", "a"});
  expect_usage({"verify: unexpected 'b'"}, {"verify", "a", "b"});
  expect_usage({"verify: unexpected 'a=b'"}, {"verify", "a", "a=b"});
  expect_usage({"verify: has no flag --side"}, {"verify", "a", "--side=3"});
  expect_usage({"pack: has no flag --json"}, {"pack", "a", "b", "--json"});
  expect_usage({"--threads: expected an integer in [1, 1024], found '99999'"},
               {"verify", temp_ / "f", "--threads=99999"});
  expect_usage({"--threads", ">= 1", "'0'"}, {"verify", "a", "--threads=0"});
  expect_usage({"--quality: expected 1 to 100, found 101"}, {"pack", "a", "b", "--side=9", "--quality=101"});
  expect_usage({"--quality needs --side"}, {"pack", "a", "b", "--quality=50"});
  expect_usage({"--quality is of JPEGs"}, {"pack", "a", "b", "--side=9", "--quality=50", "--decoded"});
  expect_usage({"--on_error: expected fail or skip"}, {"pack", "a", "b", "--on_error=retry"});
  expect_usage({"unknown data set 'mnits'"}, {"fetch", "mnits"});
  expect_usage({"--sha256=… with a URL"}, {"fetch", "https://a.org/b"});
  expect_usage({"--sha256 is for a URL"}, {"fetch", "mnist", "--sha256=1"});
}

TEST_F(DataCommand, FetchedFilesAreChecked) {
  put_file(temp_ / "a.bin", "0123456789");
  const std::string url = "file://" + temp_.path() + "/a.bin";
  const std::string sum = "--sha256=84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
  std::filesystem::create_directory(temp_ / "to");
  put_file(temp_ / "to/a.bin", "0123456789");  // so that it needs no curl
  EXPECT_EQ(run({"fetch", url, sum, "--to=" + (temp_ / "to")}),
            temp_ / "to/a.bin: already there, SHA-256 as expected\n");
}

}  // namespace
}  // namespace convoy
