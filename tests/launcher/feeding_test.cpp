#include "launcher/feeding.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/data/loader.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

TEST(Feeding, HostsOfOneDataSetEachAreFedAsOneHost) {
  const ResolvedBatch batch{.global = 24, .micro = 4, .micro_batches = 6};
  const std::vector<HostPart> one_host(4, {"a", 100, "x"});
  for (int rank = 0; rank < 4; ++rank) {
    const Feeding local = feeding_from_host(one_host, batch, 7, rank), all = feeding_from_all(100, batch, 7, rank, 4);
    EXPECT_EQ(local.rank, all.rank);
    EXPECT_EQ(local.world, all.world);
    EXPECT_EQ(local.first_row, 0);
    EXPECT_EQ(local.sampler.steps_per_epoch(), all.sampler.steps_per_epoch());
    EXPECT_EQ(local.sampler.micro_batch(1, 2, 3).ids, all.sampler.micro_batch(1, 2, 3).ids);
  }
}

// Ranks and micro-batches that do not divide, hosts of different sizes, ranks in any order.
TEST(Feeding, EachHostSeesItsOwnSamplesOnceAndRowsOfAStepDiffer) {
  const ResolvedBatch batch{.global = 44, .micro = 4, .micro_batches = 11};
  for (const std::vector<std::string>& order :
       std::vector<std::vector<std::string>>{{"a", "a", "b", "b", "b"}, {"a", "b", "a", "b", "c"}, {"b", "a"}, {"a"}}) {
    const auto world = static_cast<int>(order.size());
    const std::map<std::string, int64_t> sizes = {{"a", 171}, {"b", 203}, {"c", 99}};
    std::vector<HostPart> by_rank;
    for (const std::string& host : order) by_rank.push_back({host, sizes.at(host), "x"});

    std::set<std::pair<std::string, int64_t>> seen;
    std::map<int64_t, std::set<int64_t>> rows_by_step;
    std::set<int64_t> steps;
    for (int rank = 0; rank < world; ++rank) {
      const Feeding feeding = feeding_from_host(by_rank, batch, 7, rank);
      steps.insert(feeding.sampler.steps_per_epoch());
      const int64_t count = share_of(batch.micro_batches, rank, world).count;  // what the trainer will ask for
      const Share share = share_of(feeding.sampler.micro_batches_per_step(), feeding.rank, feeding.world);
      EXPECT_EQ(share.count, count) << "rank " << rank;
      for (int64_t step = 0; step < feeding.sampler.steps_per_epoch(); ++step) {
        for (int64_t m = share.first; m < share.first + share.count; ++m) {
          const MicroBatch rows = feeding.sampler.micro_batch(0, step, m);
          ASSERT_EQ(rows.ids.size(), 4U);
          for (const int64_t id : rows.ids) EXPECT_TRUE(seen.insert({order[static_cast<size_t>(rank)], id}).second);
          EXPECT_TRUE(rows_by_step[step].insert(feeding.first_row + rows.first_row).second);
        }
      }
    }
    EXPECT_EQ(steps.size(), 1U);
    for (const auto& [step, rows] : rows_by_step) EXPECT_EQ(rows.size(), 11U);
    EXPECT_EQ(*rows_by_step[0].rbegin(), 40);
  }
}

TEST(Feeding, AHostWithTooFewSamplesIsNamed) {
  const ResolvedBatch batch{.global = 32, .micro = 4, .micro_batches = 8};
  expect_error(ExitCode::kConfig, {"host b has 15 training samples, fewer than its 16 rows of a step"}, [&] {
    feeding_from_host({{"a", 100, "x"}, {"b", 15, "y"}}, batch, 1, 0);
  });
}

TEST(Feeding, PartsTravelAsText) {
  const HostPart part = {"node 7.cluster", 123456789012, "first 3 of abc"};
  EXPECT_EQ(parse_host_part(to_text(part)), part);
}

TEST(Feeding, RanksOfAHostMustHaveTheSameData) {
  const std::string ab = fingerprint_of({{"a", 9, "x"}, {"a", 9, "x"}, {"b", 9, "y"}});
  EXPECT_EQ(fingerprint_of({{"c", 9, "x"}, {"c", 9, "x"}, {"d", 9, "y"}}), ab);  // names of hosts do not matter
  EXPECT_NE(fingerprint_of({{"c", 9, "x"}, {"c", 9, "x"}, {"d", 9, "x"}}), ab);
  EXPECT_NE(fingerprint_of({{"a", 9, "x"}, {"b", 9, "y"}, {"b", 9, "y"}}), ab);  // epochs would be cut elsewhere
  expect_error(ExitCode::kRanksDisagree, {"rank 2 of host a has other training data than rank 0"}, [] {
    fingerprint_of({{"a", 9, "x"}, {"b", 9, "y"}, {"a", 9, "z"}});
  });
}

}  // namespace
}  // namespace convoy
