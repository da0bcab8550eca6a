#include "dist/mpi.h"

#include <gtest/gtest.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <functional>
#include <span>

#include "dist/agreement.h"
#include "tests/dist/collective_checks.h"

namespace convoy {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

MpiOptions shared_window() { return {.transport = MpiTransport::kShared}; }
MpiOptions progress_thread() { return {.transport = MpiTransport::kProgressThread}; }
// Room for what the window itself needs; tensors are copied through it.
MpiOptions small_window(const MpiSession& session) {
  return {.transport = MpiTransport::kShared, .shared_bytes = session.size() * 3 * kMiB / 2};
}

// As if every two ranks had a host; all ranks one, where that does not go.
MpiOptions two_on_a_host(const MpiSession& session) {
  if (session.size() % 2 != 0) return progress_thread();
  return {.transport = MpiTransport::kHierarchical, .ranks_per_host = 2};
}

struct Case {
  const char* name;
  std::function<MpiOptions(const MpiSession&)> options;
  bool rank_order;  // sums from rank 0 on, rounded once
};

class Mpi : public testing::TestWithParam<Case> {
 protected:
  MpiSession session_;
  std::unique_ptr<Device> device_ = make_cpu_device(1);
  std::unique_ptr<Communicator> communicator_ = make_mpi_communicator(session_, GetParam().options(session_));
};

TEST_P(Mpi, Memory) { check_memory(*communicator_, *device_); }
TEST_P(Mpi, AllReduce) { check_all_reduce(*communicator_, *device_); }
TEST_P(Mpi, ReduceScatterAndAllGather) { check_reduce_scatter_and_all_gather(*communicator_, *device_); }
TEST_P(Mpi, Broadcast) { check_broadcast(*communicator_, *device_); }
TEST_P(Mpi, ManyInFlightWithDelays) { check_many_in_flight_with_delays(*communicator_, *device_); }
TEST_P(Mpi, Events) { check_events(*communicator_, *device_); }
TEST_P(Mpi, ReplicasAreBitwiseEqual) { check_replicas_bitwise_equal(*communicator_, *device_); }
TEST_P(Mpi, HostCollectives) { check_host_collectives(*communicator_, *device_); }
TEST_P(Mpi, SumsInRankOrder) {
  if (!GetParam().rank_order) GTEST_SKIP() << "sums of hosts are summed";
  check_sum_in_rank_order(*communicator_, *device_);
}

INSTANTIATE_TEST_SUITE_P(Transports, Mpi,
                         testing::Values(Case{"Shared", [](const MpiSession&) { return shared_window(); }, true},
                                         Case{"SmallWindow", small_window, true},
                                         Case{"ProgressThread", [](const MpiSession&) { return progress_thread(); },
                                              true},
                                         Case{"Hierarchical", two_on_a_host, false}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(MpiSession, KnowsItsPlace) {
  const MpiSession session;
  EXPECT_EQ(session.hosts(), 1);
  EXPECT_EQ(session.local_size(), session.size());
  EXPECT_EQ(session.local_rank(), session.rank());
  EXPECT_TRUE(session.threads());
  EXPECT_FALSE(session.library().empty());
}

TEST(MpiSession, IsSplitIntoSessions) {
  MpiSession all;
  const int part = all.rank() % 2;
  {
    const std::unique_ptr<MpiSession> mine = all.split(part);
    EXPECT_EQ(mine->size(), (all.size() + 1 - part) / 2);
    EXPECT_EQ(mine->rank(), all.rank() / 2);
    const auto communicator = make_mpi_communicator(*mine);
    const Buffer buffer(communicator->allocator(), sizeof(float));
    *buffer.as<float>() = static_cast<float>(1 << all.rank());
    communicator->all_reduce_sum({buffer.data(), {{1, 1, 1, 1}}});
    communicator->stream().synchronize();
    int sum = 0;
    for (int rank = part; rank < all.size(); rank += 2) sum += 1 << rank;
    EXPECT_EQ(*buffer.as<float>(), static_cast<float>(sum));
    EXPECT_EQ(communicator->all_gather_bytes(std::to_string(all.rank())).back(),
              std::to_string(2 * (mine->size() - 1) + part));
  }
  all.wait_asleep();
}

TEST(MpiName, SaysWhichTransportAndWhy) {
  MpiSession session;
  if (session.size() == 1) {
    EXPECT_EQ(make_mpi_communicator(session)->name(), "solo");
    return;
  }
  EXPECT_EQ(make_mpi_communicator(session)->name(), "mpi (shared window)");
  EXPECT_EQ(make_mpi_communicator(session, progress_thread())->name(), "mpi (progress thread: asked for)");
  const std::string fallen = make_mpi_communicator(session, {.shared_bytes = kMiB})->name();
  EXPECT_TRUE(fallen.starts_with("mpi (progress thread: /dev/shm has 1.0 MiB to spare, ")) << fallen;
}

TEST(MpiName, SaysWhatIsCopied) {
  MpiSession session;
  if (session.size() == 1) GTEST_SKIP() << "one rank has no window";
  const auto communicator = make_mpi_communicator(session, small_window(session));
  const Buffer gradients(communicator->allocator(), 102 * kMiB);
  EXPECT_TRUE(communicator->name().starts_with("mpi (shared window; 102.0 MiB are copied through it: /dev/shm has "))
      << communicator->name();
}

TEST(MpiWindow, AskedForWhereThereIsNoRoomIsAnErrorOnEveryRank) {
  MpiSession session;
  if (session.size() == 1) GTEST_SKIP() << "one rank has no window";
  try {
    make_mpi_communicator(session, {.transport = MpiTransport::kShared, .shared_bytes = kMiB});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUnavailable);
  }
}

// cmake starts this one with a small /dev/shm too.
TEST(MpiWindow, ReducesTheGradientsOfResNet50WhateverRoomThereIs) {
  MpiSession session;
  if (session.size() == 1) GTEST_SKIP() << "one rank has no window";
  constexpr int64_t kBytes = 102 * kMiB;
  struct statvfs room {};
  ASSERT_EQ(statvfs("/dev/shm", &room), 0);
  const bool fits = static_cast<int64_t>(room.f_bavail * room.f_frsize) > session.size() * (kBytes + 8 * kMiB);

  const auto communicator = make_mpi_communicator(session, shared_window());
  const Buffer gradients(communicator->allocator(), kBytes);
  EXPECT_EQ(communicator->name() == "mpi (shared window)", fits) << communicator->name();
  constexpr int kElements = kBytes / 4;
  const std::span<float> values(gradients.as<float>(), kElements);
  std::ranges::fill(values, static_cast<float>(session.rank() + 1));
  communicator->all_reduce_sum({gradients.data(), {{1, 1, 1, kElements}}});
  communicator->stream().synchronize();
  const int sum = session.size() * (session.size() + 1) / 2;
  EXPECT_EQ(std::ranges::count(values, static_cast<float>(sum)), kElements);
}

TEST(MpiAgreement, NamesTheOddRank) {
  MpiSession session;
  if (session.size() == 1) GTEST_SKIP() << "one rank agrees with itself";
  const auto communicator = make_mpi_communicator(session);
  const int last = session.size() - 1;
  try {
    agree(*communicator, {{"config", session.rank() == last ? "seed: 2" : "seed: 1"}});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("rank " + std::to_string(last) + " differs from "));
  }
}

}  // namespace
}  // namespace convoy
