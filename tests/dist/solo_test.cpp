#include <gtest/gtest.h>

#include "tests/dist/collective_checks.h"

namespace convoy {
namespace {

TEST(Solo, DoesWhatEveryCommunicatorDoes) {
  const std::unique_ptr<Device> device = make_cpu_device(1);
  const std::unique_ptr<Communicator> solo = make_solo_communicator();
  EXPECT_EQ(solo->rank(), 0);
  EXPECT_EQ(solo->size(), 1);
  EXPECT_EQ(solo->local_rank(), 0);
  EXPECT_EQ(solo->local_size(), 1);
  check_everything(*solo, *device);
  check_sum_in_rank_order(*solo, *device);
}

TEST(SoloDeathTest, AbortEndsTheProcessWithTheCode) {
  EXPECT_EXIT(make_solo_communicator()->abort(ExitCode::kNonFinite), testing::ExitedWithCode(81), "");
}

}  // namespace
}  // namespace convoy
