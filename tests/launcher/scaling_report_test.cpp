#include "launcher/commands/scaling_report.h"

#include <cmath>

#include <gtest/gtest.h>

#include "launcher/svg_chart.h"

namespace convoy {
namespace {

ScalingPoint point(int ranks, const std::string& scaling, const std::vector<double>& seconds) {
  ScalingPoint point{.ranks = ranks,
                     .scaling = scaling,
                     .mode = "synthetic",
                     .global_batch = scaling == "weak" ? 100 * ranks : 100,
                     .micro_batch = 10,
                     .rounds = {}};
  for (const double it : seconds) point.rounds.push_back({it, it / 10, 0});
  return point;
}

ScalingReport some_report() {
  return {.environment = {{"date", "2026-11-30"}},
          .experiment = "model: {}\n",
          .network = "net",
          .repeat = 7,
          .widest_spread = 0.1,
          .points = {point(1, "weak", {0.1, 0.102, 0.098}), point(2, "weak", {0.125, 0.126, 0.124}),
                     point(4, "weak", {0.13, 0.15, 0.13}), point(1, "strong", {0.1, 0.1, 0.1}),
                     point(2, "strong", {0.0625, 0.0625, 0.0625})}};
}

TEST(ScalingReport, EfficiencyIsThroughputARankByThatOfTheFewest) {
  const ScalingReport report = some_report();
  EXPECT_DOUBLE_EQ(report.points[0].seconds(), 0.1);
  EXPECT_DOUBLE_EQ(report.points[1].images_per_second(), 1600);
  EXPECT_DOUBLE_EQ(report.efficiency(report.points[0]), 1);
  EXPECT_DOUBLE_EQ(report.efficiency(report.points[1]), 0.8);
  EXPECT_DOUBLE_EQ(report.efficiency(report.points[4]), 0.8);
  EXPECT_NEAR(report.points[1].communication_wait(), 0.0125, 1e-12);
}

TEST(ScalingReport, APointWhoseRoundsDifferTooMuchIsNotPublished) {
  ScalingReport report = some_report();
  EXPECT_TRUE(report.published(report.points[1]));
  EXPECT_FALSE(report.published(report.points[2]));  // 20 of 130 ms
  EXPECT_TRUE(std::isnan(report.efficiency(report.points[2])));
  const nlohmann::json json = to_json(report);
  EXPECT_FALSE(json["points"][2].contains("images_per_second"));
  EXPECT_EQ(json["points"][2]["rounds"].size(), 3U);  // what was measured is there all the same
  EXPECT_NE(to_markdown(report).find("| weak | synthetic | 4 | 400 | not published |"), std::string::npos);
  EXPECT_NE(
      to_markdown(report).find("| weak | synthetic | 2 | 200 | 1600.0 | 125.000 | 80.0% | 12.500 | 0.000 | 1.6% |"),
      std::string::npos)
      << to_markdown(report);

  report.points[0].rounds[0].seconds = 0.2;  // then nothing is compared with it
  EXPECT_TRUE(std::isnan(report.efficiency(report.points[1])));
  EXPECT_TRUE(to_json(report)["points"][1]["efficiency"].is_null());
}

TEST(ScalingReport, DrawsWhatIsPublished) {
  ScalingReport report = some_report();
  const auto files = charts(report);
  ASSERT_EQ(files.size(), 3U);
  const std::string& throughput = files.at("throughput.svg");
  EXPECT_NE(throughput.find("ideal, synthetic"), std::string::npos);
  EXPECT_EQ(throughput.find("nan"), std::string::npos);
  for (const auto& [name, chart] : files) {
    EXPECT_TRUE(chart.starts_with("<svg ")) << name;
    EXPECT_TRUE(chart.ends_with("</svg>\n")) << name;
  }
  for (ScalingPoint& it : report.points) it.rounds[0].seconds *= 2;
  EXPECT_TRUE(charts(report).empty());
}

TEST(SvgChart, EscapesNamesAndDrawsOnePoint) {
  const std::string chart = svg(LineChart{.title = "a < b & c",
                                          .x_label = "x",
                                          .y_label = "y",
                                          .log2_x = true,
                                          .log2_y = true,
                                          .lines = {{"one", {{1, 8}}}}});
  EXPECT_NE(chart.find("a &lt; b &amp; c"), std::string::npos);
  EXPECT_EQ(chart.find("nan"), std::string::npos) << chart;
  EXPECT_EQ(chart.find("inf"), std::string::npos) << chart;
  EXPECT_EQ(svg(BarChart{.title = "t", .y_label = "y", .parts = {"p"}, .bars = {{"b", {0.5}}}}).find("nan"),
            std::string::npos);
}

}  // namespace
}  // namespace convoy
