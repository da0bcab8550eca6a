// Schedules small enough to work out by hand: two rows of 10 seconds each, a bucket behind each.
#include "launcher/predict/step_simulation.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

using Kind = StepEvent::Kind;

StepEvent row(double seconds) { return {.kind = Kind::kCompute, .seconds = seconds}; }
StepEvent bucket(double latency, double transfer) {
  return {.kind = Kind::kExchange, .exchange = {.latency = latency, .transfer = transfer}};
}
StepEvent join() { return {.kind = Kind::kJoin}; }

std::vector<StepEvent> overlapped(double first, double second) {
  return {row(10), bucket(0, first), row(10), bucket(0, second), join(), row(3)};
}

TEST(StepSimulation, HidesWhatFitsBesideTheNextRow) {
  const StepTimes times = simulate(overlapped(4, 2), {});  // the first from 10 to 14, the second from 20 to 22
  EXPECT_DOUBLE_EQ(times.seconds, 25);
  EXPECT_DOUBLE_EQ(times.busy, 6);
  EXPECT_DOUBLE_EQ(times.exposed, 2);
  EXPECT_DOUBLE_EQ(times.slowed, 0);
}

TEST(StepSimulation, QueuesABucketBehindASlowOne) {
  const StepTimes times = simulate(overlapped(30, 2), {});  // from 10 to 40, then to 42; compute is ready at 20
  EXPECT_DOUBLE_EQ(times.seconds, 45);
  EXPECT_DOUBLE_EQ(times.exposed, 22);
}

TEST(StepSimulation, ExposesAllOfABucketAfterBackward) {
  const StepTimes times = simulate({row(10), row(10), bucket(1, 5), join(), row(3)}, {});
  EXPECT_DOUBLE_EQ(times.seconds, 29);
  EXPECT_DOUBLE_EQ(times.exposed, 6);
  EXPECT_DOUBLE_EQ(times.exposed_latency, 1);
}

TEST(StepSimulation, SlowsComputeBesideAnExchange) {
  const StepTimes half =
      simulate(overlapped(4, 2), {.share = 0.5});  // from 10 to 14 two seconds of the second row are done
  EXPECT_DOUBLE_EQ(half.slowed, 2);
  EXPECT_DOUBLE_EQ(half.exposed, 2);
  EXPECT_DOUBLE_EQ(half.seconds, 27);
  const StepTimes all = simulate(overlapped(4, 2), {.share = 1});  // as if nothing overlapped
  EXPECT_DOUBLE_EQ(all.slowed, 4);
  EXPECT_DOUBLE_EQ(all.seconds, 29);
  // A row that ends while the exchange is under way, and the next beside the rest of it.
  const StepTimes within = simulate({row(10), bucket(0, 8), row(1), row(10), join()}, {.share = 0.5});
  EXPECT_DOUBLE_EQ(within.slowed, 4);
  EXPECT_DOUBLE_EQ(within.seconds, 25);
}

TEST(StepSimulation, StretchesAnExchangeBesideCompute) {
  // From 10 to 18 instead of 14; the second has nothing beside it.
  const StepTimes fits = simulate(overlapped(4, 2), {.stretch = 2});
  EXPECT_DOUBLE_EQ(fits.seconds, 25);
  EXPECT_DOUBLE_EQ(fits.busy, 8 + 2);
  // Half of it from 10 to 20, then the rest alone.
  const StepTimes longer = simulate(overlapped(10, 2), {.stretch = 2});
  EXPECT_DOUBLE_EQ(longer.exposed, 5 + 2);
  EXPECT_DOUBLE_EQ(longer.seconds, 30);
  // 8 seconds in which half is computed, then the rest.
  const StepTimes both = simulate(overlapped(4, 2), {.share = 0.5, .stretch = 2});
  EXPECT_DOUBLE_EQ(both.slowed, 4);
  EXPECT_DOUBLE_EQ(both.seconds, 29);
}

TEST(StepSimulation, DividesWhatIsExposedAsTheExchangeIs) {
  const StepTimes times =
      simulate({row(10), bucket(1, 3), row(2), join()}, {});  // from 10 to 14, waited for from 12 on
  EXPECT_DOUBLE_EQ(times.exposed, 2);
  EXPECT_DOUBLE_EQ(times.exposed_latency, 0.5);
}

TEST(StepSimulation, JoinsOnlyWhatWasGiven) {
  const StepTimes times = simulate({row(1), bucket(0, 2), join(), join(), row(1), bucket(0, 5), row(1), join()}, {});
  EXPECT_DOUBLE_EQ(times.seconds, 9);
  EXPECT_DOUBLE_EQ(times.exposed, 2 + 4);
  EXPECT_DOUBLE_EQ(simulate({row(1), bucket(0, 2)}, {}).seconds, 3);  // a step ends when all of it has
  EXPECT_DOUBLE_EQ(simulate({}, {}).seconds, 0);
}

}  // namespace
}  // namespace convoy
