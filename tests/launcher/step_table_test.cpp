#include "launcher/commands/step_table.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

constexpr MachinePeak kPeak{.flops_per_second = 100e9, .bytes_per_second = 10e9};

StepRow row(const std::string& name, const std::string& kind, double seconds, int64_t flops, int64_t bytes) {
  return {name, kind, seconds, flops, bytes, kPeak.floor(flops, bytes)};
}

// One is bound by arithmetic, one by traffic, of one kind; communication has no bound here; data in a cache are faster.
std::vector<StepRow> some_rows() {
  std::vector<StepRow> rows{row("a forward", "conv2d forward", 0.004, 200'000'000, 1'000'000),
                            row("b forward", "conv2d forward", 0.002, 10'000'000, 10'000'000),
                            row("c forward", "batch_norm forward", 0.001, 0, 15'000'000),
                            row("reduce bucket 0", "reduce", 0.003, 0, 1'000'000)};
  rows.back().floor = 0;
  return rows;
}

TEST(StepTable, HoldsEachRowAgainstWhicheverBoundIsHigher) {
  EXPECT_DOUBLE_EQ(kPeak.floor(200'000'000, 1'000'000), 0.002);
  EXPECT_DOUBLE_EQ(kPeak.floor(10'000'000, 10'000'000), 0.001);
  const std::string tables = step_tables(some_rows(), kPeak);
  EXPECT_NE(tables.find("| a forward | 4.000 | 40.0% | 50 | 0.2 | 50% |\n"), std::string::npos) << tables;
  EXPECT_NE(tables.find("| b forward | 2.000 | 20.0% | 5 | 5.0 | 50% |\n"), std::string::npos) << tables;
  EXPECT_NE(tables.find("| c forward | 1.000 | 10.0% | – | 15.0 | 150% |\n"), std::string::npos) << tables;
  EXPECT_NE(tables.find("| reduce bucket 0 | 3.000 | 30.0% | – | 0.3 | – |\n"), std::string::npos) << tables;
  // 2 + 1 + 1 of 10 ms: what c gains does not make up for the others.
  EXPECT_NE(tables.find("a step row by row, 10.00 ms, is at 40% of it"), std::string::npos) << tables;
}

TEST(StepTable, SumsKindsWithTheBoundsOfTheirRowsAndSortsBothByTime) {
  const std::string tables = step_tables(some_rows(), kPeak);
  const size_t conv = tables.find("| conv2d forward | 6.000 | 60.0% | 35 | 1.8 | 50% |\n");
  ASSERT_NE(conv, std::string::npos) << tables;
  EXPECT_LT(conv, tables.find("| batch_norm forward |"));
  EXPECT_LT(tables.find("| a forward |"), tables.find("| reduce bucket 0 |"));
  EXPECT_LT(tables.find("| reduce bucket 0 |"), tables.find("| b forward |"));
  EXPECT_DOUBLE_EQ(multiply_share(some_rows()), 0.6);
}

TEST(StepTable, JsonHasEveryRowAndThePeak) {
  const nlohmann::json json = step_json(some_rows(), kPeak);
  EXPECT_EQ(json["rows"].size(), 4U);
  EXPECT_EQ(json["rows"][2], (nlohmann::json{{"name", "c forward"},
                                             {"kind", "batch_norm forward"},
                                             {"seconds", 0.001},
                                             {"flops", 0},
                                             {"bytes", 15'000'000},
                                             {"floor_seconds", 0.0015}}));
  EXPECT_DOUBLE_EQ(json["seconds_by_kind"]["conv2d forward"].get<double>(), 0.006);
  EXPECT_DOUBLE_EQ(json["peak"]["bytes_per_second"].get<double>(), 10e9);
}

}  // namespace
}  // namespace convoy
