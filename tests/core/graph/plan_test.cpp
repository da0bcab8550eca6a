#include "core/graph/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace convoy {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class PlanTest : public testing::Test {
 protected:
  Step step(const std::string& name) {
    Step step;
    step.name = name;
    step.run = [this, name] { ran_.push_back(name); };
    return step;
  }
  std::unique_ptr<Device> device_ = make_cpu_device(1);
  Plan plan_;
  std::vector<std::string> ran_;
};

TEST_F(PlanTest, RunsInOrderAndCallsTheHookAfterEachStep) {
  plan_.append(step("a"));
  plan_.append(step("c"));
  plan_.insert(1, step("b"));
  plan_.run();
  EXPECT_EQ(ran_, (std::vector<std::string>{"a", "b", "c"}));

  ran_.clear();
  plan_.set_between_steps([this] { ran_.push_back("|"); });
  const std::vector<std::string> expected{"a", "|", "b", "|", "c", "|"};
  plan_.run();
  EXPECT_EQ(ran_, expected);
  ran_.clear();
  EXPECT_EQ(plan_.run_checked(*device_), "");
  EXPECT_EQ(ran_, expected);
}

TEST_F(PlanTest, CheckedRunNamesTheFirstStepThatWroteNanOrInfinity) {
  std::vector<float> value(4), later(4);
  std::vector<uint16_t> half(8);  // three channels in a block of eight
  plan_.append(step("clean"));
  Step writes = step("half");
  writes.run = [&] { half[2] = f32_to_bf16(std::numeric_limits<float>::infinity()); };
  writes.outputs = {{}, {value.data(), {{1, 1, 1, 4}}}, {half.data(), {{1, 1, 1, 3}, Dtype::kBF16, {8}}}};
  plan_.append(writes);
  Step after = step("after");
  after.run = [&] { later[3] = kNan; };
  after.outputs = {{later.data(), {{1, 1, 1, 4}}}};
  plan_.append(after);
  EXPECT_EQ(plan_.run_checked(*device_), "half");
  EXPECT_TRUE(std::isnan(later[3]));  // all steps ran
}

TEST_F(PlanTest, CheckedRunLooksAtIntegersAsNoNumbers) {
  std::vector<int32_t> labels{-1, -1};  // NaN when read as f32
  Step step_of_labels = step("labels");
  step_of_labels.outputs = {{labels.data(), {{2, 1, 1, 1}, Dtype::kI32}}};
  plan_.append(step_of_labels);
  EXPECT_EQ(plan_.run_checked(*device_), "");
}

TEST_F(PlanTest, TableHasOneLineAStepHoweverLong) {
  Step conv = step("conv1 forward");
  conv.flops = 2'500'000;
  conv.bytes = 3 << 20;
  conv.detail = "1x2x3x4 f32 nhwc direct";
  plan_.append(conv);
  plan_.append(step(std::string(300, 'n')));
  Step wide = step("wide");
  wide.detail = std::string(300, 'd');
  plan_.append(wide);
  const std::string table = plan_.table();
  EXPECT_EQ(std::ranges::count(table, '\n'), 4);
  EXPECT_NE(table.find(std::string(300, 'n')), std::string::npos);
  EXPECT_NE(table.find(std::string(300, 'd') + "\n"), std::string::npos);
  const std::string line = table.substr(table.find("   0"));
  EXPECT_EQ(line.substr(0, line.find('\n')),
            "   0  conv1 forward                                      2.50      3.00  1x2x3x4 f32 nhwc direct");
}

}  // namespace
}  // namespace convoy
