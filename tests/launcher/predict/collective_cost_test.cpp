#include "launcher/predict/collective_cost.h"

#include <gtest/gtest.h>

#include "launcher/predict/link_text.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

constexpr double kMicro = 1e-6;
constexpr int64_t kBytes = 4'000'000;

CollectiveCost by(Algorithm algorithm, int ranks, const Link& link, Exchange exchange = Exchange::kAllReduce,
                  int64_t bytes = kBytes) {
  return cost_by(algorithm, exchange, bytes, ranks, link).value();
}

void expect_cost(const CollectiveCost& cost, double latency, double transfer) {  // µs
  EXPECT_NEAR(cost.latency, kMicro * latency, 1e-12);
  EXPECT_NEAR(cost.transfer, kMicro * transfer, 1e-12);
}

TEST(CollectiveCost, OfARingIsTwiceTheRanksLessOneSteps) {
  const Link link = parse_link("5,10", {});
  expect_cost(by(Algorithm::kRing, 4, link), 6 * 5, 600);  // 2 · 3/4 · 4 MB at 10 GB/s
  expect_cost(by(Algorithm::kRing, 4, link, Exchange::kReduceScatter), 3 * 5, 300);
  expect_cost(by(Algorithm::kRing, 4, link, Exchange::kAllGather), 3 * 5, 300);
}

TEST(CollectiveCost, OfATreeGrowsWithTheLogarithm) {
  const Link link = parse_link("5,10", {});
  expect_cost(by(Algorithm::kTree, 4, link), 2 * 2 * 5, 800);
  expect_cost(by(Algorithm::kTree, 1024, link), 2 * 10 * 5, 800);
  EXPECT_FALSE(cost_by(Algorithm::kTree, Exchange::kAllGather, kBytes, 4, link));
}

TEST(CollectiveCost, OfTwoLevels) {
  const Link link = parse_link("1,100+5,10", 2);  // nodes of two
  expect_cost(by(Algorithm::kRing, 4, link), 4 * 1 + 2 * 5, 600);
  expect_cost(by(Algorithm::kRing, 2, link), 2 * 1, 40);             // in a node
  expect_cost(by(Algorithm::kTree, 8, link), 2 * (1 + 2 * 5), 800);  // a chain of two, a tree of four nodes
  // In the node 2 · 1/2 · 4 MB at 100 GB/s, between two nodes as much at 10 GB/s.
  expect_cost(by(Algorithm::kHierarchical, 4, link), 2 * 1 + 2 * 5, 40 + 400);
  EXPECT_FALSE(cost_by(Algorithm::kHierarchical, Exchange::kAllReduce, kBytes, 2, link));
}

TEST(CollectiveCost, OfAdaptersSideBySide) {
  const Link one = parse_link("1,100+5,10", 2), two = parse_link("1,100+2x5,10", 2);
  EXPECT_DOUBLE_EQ(two.across, 2 * one.across);
  expect_cost(by(Algorithm::kRing, 4, two), 4 * 1 + 2 * 5, 300);
}

TEST(CollectiveCost, OfASwitchThatAdds) {
  const Link link = parse_link("dgx-h100", {});
  const double bandwidth = 0.85 * 18 * 20.6e9;
  expect_cost(by(Algorithm::kNvls, 8, link), 25, 4.5e6 / bandwidth / kMicro);
  expect_cost(by(Algorithm::kNvls, 32, link), 25 + 2 * 2 * 20.9, 8e6 / 400e9 / kMicro);  // four nodes, 8 adapters each
  EXPECT_FALSE(cost_by(Algorithm::kNvls, Exchange::kAllReduce, kBytes, 8, parse_link("dgx-a100", {})));
}

TEST(CollectiveCost, OfNcclIsByTheProtocolThatFits) {
  const Link link = parse_link("nvlink3", {});
  expect_cost(by(Algorithm::kRing, 8, link, Exchange::kAllReduce, 0), 6.6 + 14 * 0.6, 0);  // LL
  expect_cost(by(Algorithm::kRing, 8, link, Exchange::kAllReduce, 1'000'000'000), 8.4 + 14 * 3.4,
              1.75e9 / 240e9 / kMicro);  // Simple
}

TEST(CollectiveCost, IsOfTheCheapestAlgorithm) {
  const Link link = parse_link("5,10", {});
  EXPECT_EQ(cost_of(Exchange::kAllReduce, 1000, 64, link).algorithm, Algorithm::kTree);
  EXPECT_EQ(cost_of(Exchange::kAllReduce, 1'000'000'000, 64, link).algorithm, Algorithm::kRing);
  EXPECT_EQ(cost_of(Exchange::kAllReduce, 1000, 64, link, Algorithm::kRing).algorithm, Algorithm::kRing);
  EXPECT_EQ(cost_of(Exchange::kAllGather, 1000, 64, link, Algorithm::kTree).algorithm, Algorithm::kRing);
  EXPECT_EQ(cost_of(Exchange::kAllReduce, 1000, 1, link).seconds(), 0);
  const Link nodes = parse_link("1,100+5,10", 2);  // where NCCL has nothing that is as fast
  EXPECT_LT(cost_of(Exchange::kAllReduce, kBytes, 8, nodes, Algorithm::kHierarchical).seconds(),
            cost_of(Exchange::kAllReduce, kBytes, 8, nodes).seconds());
}

TEST(CollectiveCost, GrowsWithBytesAndRanks) {
  const Link link = parse_link("dgx-h100", {});
  for (const Exchange exchange : {Exchange::kAllReduce, Exchange::kReduceScatter, Exchange::kAllGather}) {
    for (int ranks = 2; ranks <= 4096; ranks *= 2) {
      for (int64_t bytes = 1024; bytes <= (1 << 28); bytes *= 4) {
        const double it = cost_of(exchange, bytes, ranks, link).seconds();
        EXPECT_LT(it, cost_of(exchange, 4 * bytes, ranks, link).seconds()) << bytes << " " << ranks;
        // From one node to two it may change the way.
        if (ranks >= 16) {
          EXPECT_LT(it, cost_of(exchange, bytes, 2 * ranks, link).seconds()) << bytes << " " << ranks;
        }
      }
    }
  }
}

TEST(CollectiveCost, BusBytesAreThoseOfNcclTests) {
  EXPECT_DOUBLE_EQ(bus_bytes(Exchange::kAllReduce, 1000, 4), 1500);
  EXPECT_DOUBLE_EQ(bus_bytes(Exchange::kReduceScatter, 1000, 4), 750);
  EXPECT_DOUBLE_EQ(bus_bytes(Exchange::kAllGather, 1000, 4), 750);
}

TEST(LinkText, FitsLatencyAndBandwidth) {
  const Link link = parse_link("7,3", {});
  std::vector<std::pair<double, double>> sums;
  for (int64_t bytes = 4096; bytes <= (1 << 27); bytes *= 2) {
    sums.emplace_back(static_cast<double>(bytes), by(Algorithm::kRing, 6, link, Exchange::kAllReduce, bytes).seconds());
  }
  const Hop hop = fit_hop(sums, 6);
  EXPECT_NEAR(hop.latency, 7e-6, 1e-10);
  EXPECT_NEAR(hop.bandwidth, 3e9, 1e4);
  EXPECT_EQ(fit_hop({{1e3, 1e-9}, {1e6, 1e-3}, {1e7, 1e-2}}, 2).latency, 0);  // the line would have less than none
  // Small sums that stay in a cache do not make large ones faster.
  EXPECT_NEAR(fit_hop({{1e3, 1e-6}, {1e4, 1e-6}, {1e5, 2e-6}, {1e7, 1e-2}, {2e7, 2e-2}}, 2).bandwidth, 1e9, 1e7);
}

TEST(LinkText, ReadsWhatAllReducePrints) {
  const TempDirectory directory;
  const std::string path = directory / "sums.json";
  const auto put = [&](const std::string& ranks, const std::string& more) {
    put_file(path, "{\"ranks\": " + ranks + R"j(, "communicator": "mpi (shared window)", "sizes": [
        {"bytes": 1000, "seconds": 2e-6, "seconds_beside": 6e-6, "share_beside": 0},
        {"bytes": 1000000, "seconds_beside": 2e-3, "share_beside": 0.25, "seconds": 1.001e-3)j" +
                       more + "}]}");
  };
  put("2", "");
  const Link link = parse_link(path, {});
  EXPECT_EQ(link.node, 1);
  EXPECT_NEAR(link.across, 1e9, 1);  // 2 · 1/2 of the bytes
  EXPECT_NEAR(link.ring.front().across, 0.5e-6, 1e-12);
  EXPECT_NEAR(link.contention.share, 0.5e-3 / 2.006e-3, 1e-9);  // of the time of all sums
  EXPECT_NEAR(link.contention.stretch, 2.006 / 1.003, 1e-9);
  EXPECT_EQ(parse_link("nvlink3+" + path, {}).across, link.across);
  for (const std::string gpu : {"nccl 2.28.9", "staged through host memory: mpi (shared window)"}) {
    put_file(path, R"({"ranks": 2, "communicator": ")" + gpu +
                       R"(", "sizes": [{"bytes": 1000, "seconds": 2e-6}, {"bytes": 2000, "seconds": 3e-6}]})");
    EXPECT_NEAR(parse_link(path, {}).contention.share, 0.12, 1e-9) << gpu;
  }
  put("1", "");
  expect_error(ExitCode::kBadData, {path + ": expected sums over several ranks"}, [&] { parse_link(path, {}); });
  put("2", ", \"seconds\": 0");
  expect_error(ExitCode::kBadData, {path, "expected a number above 0, found 0"}, [&] { parse_link(path, {}); });
  put("\"2\"", "");
  expect_error(ExitCode::kBadData, {path + ": not as `bench all-reduce"}, [&] { parse_link(path, {}); });
  put_file(
      path,
      R"({"ranks": 2, "communicator": "", "sizes": [{"bytes": 1, "seconds": 1, "seconds_beside": 1, "share_beside": 0}]})");
  expect_error(ExitCode::kBadData, {"sums of two sizes"}, [&] { parse_link(path, {}); });
}

TEST(LinkText, SaysWhatItExpects) {
  for (const char* text :
       {"", "fast", "5", "5,", "5,0", "-1,10", "5,10x", "5,nan", "nvlink4+", "nvlink4+0xndr", "5,1e99"}) {
    expect_error(ExitCode::kUsage, {"--link: expected dgx-h100", "25gbe", "GB_PER_S"}, [&] { parse_link(text, {}); });
  }
  expect_error(ExitCode::kUsage, {"--link: ndr joins nodes"}, [] { parse_link("ndr+ndr", {}); });
  expect_error(ExitCode::kUsage, {"--link: pcie4 does not join nodes"}, [] { parse_link("nvlink4+pcie4", {}); });
  expect_error(ExitCode::kUsage, {"--node: 5,10 joins all ranks alike"}, [] { parse_link("5,10", 4); });
  EXPECT_EQ(parse_link("nvlink4", {}).across, 0);
  EXPECT_EQ(parse_link("nvlink4+25gbe", 4).node, 4);
}

}  // namespace
}  // namespace convoy
