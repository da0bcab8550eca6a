#include "launcher/commands/step_table.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

constexpr MachinePeak kPeak{.flops = 100e9, .bytes = 10e9};

std::vector<StepRow> some_rows() {
  return {{.name = "a forward", .kind = "conv2d forward", .seconds = 0.004, .flops = 200'000'000, .bytes = 1'000'000},
          {.name = "b forward", .kind = "conv2d forward", .seconds = 0.002, .flops = 100'000'000, .bytes = 10'000'000},
          {.name = "c forward", .kind = "batch_norm forward", .seconds = 0.002, .bytes = 15'000'000},
          {.name = "reduce bucket 0", .kind = "reduce", .seconds = 0.002, .bytes = 1'000'000, .communicates = true}};
}

TEST(StepTable, HoldsEachRowAgainstWhicheverBoundIsHigher) {
  const std::string tables = step_tables(some_rows(), kPeak);
  // 2 ms of arithmetic in 4; 1 ms each way in 2; 1.5 ms of traffic in 2; communication has no bound here.
  EXPECT_NE(tables.find("| a forward | 4.000 | 40.0% | 50 | 0.2 | 50% |\n"), std::string::npos) << tables;
  EXPECT_NE(tables.find("| b forward | 2.000 | 20.0% | 50 | 5.0 | 50% |\n"), std::string::npos) << tables;
  EXPECT_NE(tables.find("| c forward | 2.000 | 20.0% | – | 7.5 | 75% |\n"), std::string::npos) << tables;
  EXPECT_NE(tables.find("| reduce bucket 0 | 2.000 | 20.0% | – | 0.5 | – |\n"), std::string::npos) << tables;
  EXPECT_NE(tables.find("the step is at 45% of it"), std::string::npos) << tables;  // 2 + 1 + 1.5 ms of 10
}

TEST(StepTable, SumsKindsAndSortsBothByTime) {
  const std::string tables = step_tables(some_rows(), kPeak);
  const size_t conv = tables.find("| conv2d forward | 6.000 | 60.0% | 50 | 1.8 | 50% |\n");
  ASSERT_NE(conv, std::string::npos) << tables;
  EXPECT_LT(conv, tables.find("| batch_norm forward |"));
  EXPECT_LT(tables.find("| a forward |"), tables.find("| c forward |"));
  EXPECT_DOUBLE_EQ(multiply_share(some_rows()), 0.6);
}

TEST(StepTable, JsonHasEveryRowAndThePeak) {
  const nlohmann::json json = step_json(some_rows(), kPeak);
  EXPECT_EQ(json["rows"].size(), 4U);
  EXPECT_EQ(json["rows"][2], (nlohmann::json{{"name", "c forward"},
                                             {"kind", "batch_norm forward"},
                                             {"seconds", 0.002},
                                             {"flops", 0},
                                             {"bytes", 15'000'000}}));
  EXPECT_DOUBLE_EQ(json["seconds_by_kind"]["conv2d forward"].get<double>(), 0.006);
  EXPECT_DOUBLE_EQ(json["peak"]["bytes_per_second"].get<double>(), 10e9);
}

}  // namespace
}  // namespace convoy
