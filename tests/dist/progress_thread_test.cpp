// What is given to a progress thread ends, or whoever asks for it hears why not.
#include "dist/progress_thread.h"

#include <gtest/gtest.h>

#include <chrono>

#include "core/base/error.h"

namespace convoy {
namespace {

// Fails in its second collective.
class Failing : public CollectiveRunner {
 public:
  bool run(const Collective&, const std::stop_token&) override {
    if (++runs_ == 2) throw Error(ExitCode::kUnavailable, "the link is down");
    return true;
  }

 private:
  int runs_ = 0;
};

TEST(ProgressThread, SaysWhatEndedItToWhoeverAsks) {
  Failing runner;
  ProgressThread queue(runner);
  float number = 0;
  for (int i = 0; i < 4; ++i) queue.enqueue({Collective::Kind::kAllReduce, {&number, {{1, 1, 1, 1}}}});
  const auto asks = [&] {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (queue.in_flight() > 0 && std::chrono::steady_clock::now() < end) queue.progress();
  };
  EXPECT_THROW(asks(), Error);
  EXPECT_THROW(queue.synchronize(), Error);
  EXPECT_THROW(queue.progress(), Error);  // again and again
  EXPECT_EQ(queue.take_busy_seconds().size(), 2U);
}

}  // namespace
}  // namespace convoy
