#include "dist/thread_group.h"

#include <gtest/gtest.h>

#include <atomic>

#include "dist/window_queue.h"
#include "tests/dist/collective_checks.h"

namespace convoy {
namespace {

class ThreadGroup : public testing::TestWithParam<int> {
 protected:
  static void run(const std::function<void(Communicator&, Device&)>& body) {
    run_thread_group(GetParam(), [&](Communicator& communicator) { body(communicator, *make_cpu_device(1)); });
  }
};

TEST_P(ThreadGroup, Memory) { run(check_memory); }
TEST_P(ThreadGroup, AllReduce) { run(check_all_reduce); }
TEST_P(ThreadGroup, ReduceScatterAndAllGather) { run(check_reduce_scatter_and_all_gather); }
TEST_P(ThreadGroup, Broadcast) { run(check_broadcast); }
TEST_P(ThreadGroup, ManyInFlightWithDelays) { run(check_many_in_flight_with_delays); }
TEST_P(ThreadGroup, Events) { run(check_events); }
TEST_P(ThreadGroup, ReplicasAreBitwiseEqual) { run(check_replicas_bitwise_equal); }
TEST_P(ThreadGroup, SumsInRankOrder) { run(check_sum_in_rank_order); }
TEST_P(ThreadGroup, HostCollectives) { run(check_host_collectives); }

INSTANTIATE_TEST_SUITE_P(Ranks, ThreadGroup, testing::Values(1, 2, 3, 5, 8), testing::PrintToStringParamName());

TEST(ThreadGroup, EveryRankRunsOnce) {
  std::atomic<int> seen = 0;
  run_thread_group(5, [&](Communicator& it) {
    EXPECT_EQ(it.size(), 5);
    seen += 1 << 4 * it.rank();
  });
  EXPECT_EQ(seen, 0x11111);
}

// ---- Failures.  Each of these would hang if peers were not told.

Tensor vector_of(const Buffer& buffer, int elements) { return {buffer.data(), {{1, 1, 1, elements}}}; }

void expect_boom(int size, const std::function<void(Communicator&)>& body) {
  std::atomic<int> told = 0;
  try {
    run_thread_group(size, [&](Communicator& it) {
      if (it.rank() == 1) throw Error(ExitCode::kBadData, "boom");
      try {
        body(it);
      } catch (const PeerFailed&) {
        ++told;
        throw;
      }
    });
    ADD_FAILURE() << "the exception was lost";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "boom");
    EXPECT_EQ(error.code(), ExitCode::kBadData);
  }
  EXPECT_EQ(told, size - 1);
}

TEST(ThreadGroup, AFailedRankDoesNotHangATensorCollective) {
  expect_boom(3, [](Communicator& it) {
    const std::unique_ptr<Allocator> memory = make_host_allocator();
    const Buffer buffer(*memory, 400);
    it.all_reduce_sum(vector_of(buffer, 100));
    it.stream().synchronize();
  });
}

TEST(ThreadGroup, AFailedRankDoesNotHangABarrierOrAnAllocation) {
  expect_boom(4, [](Communicator& it) { it.barrier(); });
  expect_boom(2, [](Communicator& it) { const Buffer buffer(it.allocator(), 400); });
}

TEST(ThreadGroup, PeersMayStillReadTheMemoryOfARankThatFails) {
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(run_thread_group(2,
                                  [](Communicator& it) {
                                    const Buffer buffer(it.allocator(), 400'000);
                                    it.all_reduce_sum(vector_of(buffer, 100'000));
                                    if (it.rank() == 0) throw Error(ExitCode::kBadData, "boom");
                                    it.progress();
                                  }),
                 Error);
  }
}

TEST(ThreadGroup, OfSeveralExceptionsTheLowestRanksIsRethrown) {
  for (int round = 0; round < 20; ++round) {
    try {
      run_thread_group(5, [](Communicator& it) {
        if (it.rank() >= 2) throw Error(ExitCode::kBadData, "rank " + std::to_string(it.rank()));
        it.barrier();
      });
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "rank 2");
    }
  }
}

TEST(ThreadGroup, DifferentCollectivesAreFoundBeforeMemoryIsTouched) {
  run_thread_group(2, [](Communicator& it) {
    const Buffer buffer(it.allocator(), 400);
    buffer.as<float>()[0] = 5;
    it.all_reduce_sum(vector_of(buffer, it.rank() == 0 ? 100 : 96));
    try {
      it.stream().synchronize();
      ADD_FAILURE() << "nobody noticed";
    } catch (const PeerFailed&) {
    } catch (const Error& error) {
      const std::string other = std::to_string(1 - it.rank());
      EXPECT_EQ(error.code(), ExitCode::kRanksDisagree);
      EXPECT_NE(std::string(error.what()).find("collective 0"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("all_reduce of 400 bytes f32 in the window"), std::string::npos);
      EXPECT_NE(std::string(error.what()).find("all_reduce of 384 bytes f32 in the window"), std::string::npos);
    }
    EXPECT_EQ(buffer.as<float>()[0], 5);
  });
}

TEST(ThreadGroup, CollectivesRefuseWhatTheyCannotDo) {
  run_thread_group(2, [](Communicator& it) {
    const Buffer buffer(it.allocator(), 400);
    EXPECT_THROW(it.all_reduce_sum({buffer.data(), {{1, 1, 1, 10}, Dtype::kU8}}), InternalError);
    EXPECT_THROW(it.all_reduce_sum({buffer.data(), {{1, 1, 1, 8}, Dtype::kF32, {8}}}), InternalError);
    EXPECT_THROW(it.broadcast(vector_of(buffer, 1), 2), InternalError);
    it.broadcast({buffer.data(), {{1, 1, 1, 10}, Dtype::kU8}}, 1);  // a copy may be of any dtype
    it.all_reduce_sum(vector_of(buffer, 0));
    it.stream().synchronize();
  });
}

}  // namespace
}  // namespace convoy
