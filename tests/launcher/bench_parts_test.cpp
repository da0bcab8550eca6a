// `convoy bench layers` and `bench loader`: what they say of the parts of a training step, not how fast those are.
#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "tests/launcher/convoy_command.h"

namespace convoy {
namespace {

using BenchParts = ConvoyCommand;
using nlohmann::json;

TEST_F(BenchParts, LayersThatAreAlikeAreMeasuredOnceAndCounted) {
  put_file(directory_ / "wide.yaml",
           "base: x.yaml\nmodel: {layers: [flatten, {linear: {units: 36}}, {linear: {units: 36}}, {linear: {units: "
           "classes}}]}\n");
  const json layers = json::parse(fine(convoy("bench layers wide.yaml --repeat=1 --json")));
  EXPECT_EQ(layers["micro_batch"], 4);
  double cold = 0, in_step = 0;
  std::map<std::string, json> found;
  for (const json& row : layers["rows"]) {
    EXPECT_GT(row["seconds"], 0) << row;
    EXPECT_GT(row["seconds_warm"], 0) << row;
    cold += row["count"].get<int>() * row["seconds"].get<double>();
    in_step += row["count"].get<int>() * row["seconds_in_step"].get<double>();
    found[row["layer"].get<std::string>() + " " + row["step"].get<std::string>()] = row;
  }
  EXPECT_NEAR(layers["seconds"].get<double>(), cold, 1e-6 * cold);
  EXPECT_NEAR(layers["seconds_in_step"].get<double>(), in_step, 1e-6 * in_step);
  const std::string square = "linear 4x1x1x36, weight 36x1x1x36 ", last = "linear 4x1x1x36, weight 7x1x1x36 ";
  EXPECT_EQ(found[square + "forward"]["count"], 2);
  EXPECT_EQ(found[square + "forward"]["flops"], 4 * 2 * 36 * 36);
  EXPECT_EQ(found[square + "backward_data"]["count"], 1);  // nobody wants the gradient of pixels
  EXPECT_EQ(found[square + "backward_weights"]["count"], 2);
  EXPECT_EQ(found[last + "forward"]["count"], 1);
  EXPECT_TRUE(found.contains("softmax_cross_entropy 4x1x1x7, 4x1x1x3 backward"));
  for (const json& row : layers["rows"]) EXPECT_NE(row["example"], "optimizer");
}

TEST_F(BenchParts, LayersRunOnAllRanksAtOnce) {
  const std::string text = fine(convoy(2, "bench layers x.yaml --repeat=1"));
  EXPECT_NE(text.find("layers on micro-batches of 4, 2 rank(s)"), std::string::npos) << text;
  EXPECT_NE(text.find("| linear 4x1x1x36, weight 7x1x1x36 | forward | 1 | "), std::string::npos) << text;
}

TEST_F(BenchParts, LoaderHasARowForEachNumberOfThreads) {
  const json loader = json::parse(fine(convoy(2, "bench loader x.yaml --repeat=2 --json data.workers=2")));
  EXPECT_EQ(loader["ranks"], 2);
  EXPECT_EQ(loader["sample"], json({6, 6, 1}));
  EXPECT_TRUE(loader["file_bytes_per_image"].is_null());
  ASSERT_EQ(loader["points"].size(), 2U);
  for (int threads = 1; const json& point : loader["points"]) {
    EXPECT_EQ(point["threads"], threads++);
    EXPECT_EQ(point["rounds"].size(), 5U);
    EXPECT_GT(point["cpu_seconds_per_image"], 0);
    EXPECT_GE(point["images_per_second"].get<double>(), 2 * point["images_per_second_slowest_rank"].get<double>());
  }
  const std::string text = fine(convoy("bench loader x.yaml --repeat=2"));
  EXPECT_NE(text.find("x: 64 samples of [6,6,1]; micro-batches of 4 on 1 rank(s)"), std::string::npos) << text;
  EXPECT_NE(text.find("\n| 1 | "), std::string::npos) << text;
}

TEST_F(BenchParts, LoaderReadsFilesOfImages) {
  std::filesystem::create_directories(directory_ / "f/cat");
  std::filesystem::create_directories(directory_ / "f/dog");
  for (int i = 0; i < 16; ++i) {
    put_file(directory_ / ("f/" + std::string(i % 2 == 0 ? "cat/" : "dog/") + std::to_string(i) + ".ppm"),
             "P6 2 2 255\n" + std::string(12, static_cast<char>(i)));
  }
  const std::string images =
      " data.format=images data.path=f data.shape=[6,6,3] data.classes=2 data.train_size=null "
      "data.test_size=null data.crop.type=centre data.cache=ram";
  // Of a set that the loader goes through again and again.
  const json loader = json::parse(fine(convoy("bench loader x.yaml --repeat=2 --json" + images)));
  EXPECT_EQ(loader["samples"], 16);
  EXPECT_EQ(loader["file_bytes_per_image"], 11 + 12);
  put_file(directory_ / "f/cat/2.ppm", "P6 2 2 255\nshort");
  const Result bad = convoy(2, "bench loader x.yaml --repeat=2" + images);
  EXPECT_EQ(bad.code, static_cast<int>(ExitCode::kBadData)) << bad.errors;
  EXPECT_NE(bad.errors.find("2.ppm"), std::string::npos) << bad.errors;
}

TEST_F(BenchParts, WhatCannotBeMeasuredSaysSo) {
  const auto fails = [this](const std::string& command, ExitCode code, const std::string& message) {
    const Result result = convoy(command);
    EXPECT_EQ(result.code, static_cast<int>(code)) << result.errors;
    EXPECT_NE(result.errors.find(message), std::string::npos) << result.errors;
  };
  fails("bench loader x.yaml --ranks=1", ExitCode::kUsage, "bench loader: has no --ranks");
  fails("bench layers x.yaml --out=d", ExitCode::kUsage, "bench layers: has no --out");
  fails("bench loader", ExitCode::kUsage, "expected an experiment");
  fails("bench layers none.yaml", ExitCode::kNoInput, "none.yaml");
  fails("bench loader x.yaml data.train_size=15", ExitCode::kConfig, "(16 samples), found 15");
}

}  // namespace
}  // namespace convoy
