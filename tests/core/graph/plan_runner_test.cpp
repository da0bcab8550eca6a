#include "core/graph/plan_runner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace convoy {
namespace {

// A device that captures by writing down which steps `body` runs.
class CapturingDevice : public Device {
 public:
  DeviceKind kind() const override { return DeviceKind::kCuda; }
  std::string name() const override { return "capturing"; }
  Allocator& allocator() override { return *host_; }
  Allocator& host_allocator() override { return *host_; }
  Stream& compute() override { return cpu_->compute(); }
  Stream& copies() override { return cpu_->copies(); }
  std::unique_ptr<Stream> make_stream() override { return cpu_->make_stream(); }
  std::unique_ptr<Event> make_event() override { return cpu_->make_event(); }
  void copy(void* to, const void* from, int64_t bytes, Stream& stream) override { cpu_->copy(to, from, bytes, stream); }
  bool runs_ahead() const override { return true; }
  bool captures() const override { return true; }
  std::unique_ptr<CapturedWork> capture(const std::function<void()>& body) override {
    class Replay : public CapturedWork {
     public:
      Replay(std::vector<std::string> names, std::vector<std::string>& log) : names_(std::move(names)), log_(log) {}
      void launch(Stream&) override {
        log_.push_back("launch");
        log_.insert(log_.end(), names_.begin(), names_.end());
      }

     private:
      std::vector<std::string> names_;
      std::vector<std::string>& log_;
    };
    const std::vector<std::string> before = std::exchange(log, {});
    body();
    auto captured = std::make_unique<Replay>(log, log);
    log = before;
    return captured;
  }

  std::vector<std::string> log;

 private:
  std::unique_ptr<Allocator> host_ = make_host_allocator();
  std::unique_ptr<Device> cpu_ = make_cpu_device(1);
};

class PlanRunnerTest : public testing::Test {
 protected:
  void append(const std::string& name, bool capturable = true) {
    Step step;
    step.name = name;
    step.run = [this, name] { device_.log.push_back(name); };
    step.capturable = capturable;
    plan_.append(std::move(step));
  }
  std::vector<std::string> run(PlanRunner& runner) {
    device_.log.clear();
    runner.run();
    return device_.log;
  }

  using Log = std::vector<std::string>;
  CapturingDevice device_;
  Plan plan_;
};

TEST_F(PlanRunnerTest, CapturesInTheSecondRunAndLaunchesFromThenOn) {
  append("a");
  append("b");
  PlanRunner runner(plan_, device_, true);
  EXPECT_EQ(run(runner), (Log{"a", "b"}));
  EXPECT_EQ(runner.captured_pieces(), 0);
  EXPECT_EQ(run(runner), (Log{"launch", "a", "b"}));
  EXPECT_EQ(run(runner), (Log{"launch", "a", "b"}));
  EXPECT_EQ(runner.captured_pieces(), 1);
}

TEST_F(PlanRunnerTest, StepsThatCannotBeCapturedRunBetweenThePieces) {
  append("a");
  append("reduce", false);
  append("b");
  append("c");
  append("join", false);
  append("reduce 2", false);
  append("d");
  plan_.set_between_steps([this] { device_.log.push_back("|"); });
  PlanRunner runner(plan_, device_, true);
  run(runner);
  EXPECT_EQ(run(runner), (Log{"launch", "a", "|", "reduce", "|", "launch", "b", "c", "|", "join", "|", "reduce 2", "|",
                              "launch", "d", "|"}));
  EXPECT_EQ(runner.captured_pieces(), 3);
}

TEST_F(PlanRunnerTest, WithoutCaptureTheSameListRunsStepByStep) {
  append("a");
  append("b");
  PlanRunner runner(plan_, device_, false);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(run(runner), (Log{"a", "b"}));
  EXPECT_EQ(runner.captured_pieces(), 0);
}

TEST_F(PlanRunnerTest, ADeviceThatCannotCaptureRunsStepByStep) {
  append("a");
  const std::unique_ptr<Device> cpu = make_cpu_device(1);
  PlanRunner runner(plan_, *cpu, true);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(run(runner), (Log{"a"}));
}

TEST_F(PlanRunnerTest, TimesAddUp) {
  append("a");
  append("b");
  PlanRunner runner(plan_, device_, true);
  std::vector<double> seconds;
  runner.run_timed(seconds);
  const std::vector<double> once = seconds;
  runner.run_timed(seconds);
  ASSERT_EQ(seconds.size(), 2U);
  for (size_t i = 0; i < 2; ++i) EXPECT_GT(seconds[i], once[i]);
}

}  // namespace
}  // namespace convoy
