#include "launcher/predict/collective_cost.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace convoy {
namespace {

// Ranks as they lie: `nodes` nodes of `each`.
struct Layout {
  int ranks, nodes, each;

  Layout(int p, const Link& link) : ranks(p), nodes((p + link.node - 1) / link.node), each(std::min(p, link.node)) {
    CHECK(nodes == 1 || link.across > 0, "nothing joins the nodes");
  }
  // Of one message that goes round all of them.
  double bandwidth(const Link& link) const {
    if (nodes == 1) return link.inside;
    return each == 1 ? link.across : std::min(link.inside, link.across);
  }
};

int phases(Exchange exchange) { return exchange == Exchange::kAllReduce ? 2 : 1; }

std::optional<CollectiveCost> cheaper(const std::optional<CollectiveCost>& a, const std::optional<CollectiveCost>& b) {
  if (!a || !b) return a ? a : b;
  return b->seconds() < a->seconds() ? b : a;
}

template <class Cost>
std::optional<CollectiveCost> cheapest(const std::vector<Protocol>& protocols, Cost cost) {
  std::optional<CollectiveCost> best;
  for (const Protocol& protocol : protocols) best = cheaper(best, cost(protocol));
  return best;
}

// p-1 steps to scatter and as many to gather, in each of which every rank sends a p-th part on.
std::optional<CollectiveCost> ring(Exchange exchange, double bytes, int ranks, const Link& link) {
  const Layout at(ranks, link);
  const int steps = phases(exchange) * (ranks - 1), across = phases(exchange) * (at.nodes - 1);
  return cheapest(link.ring, [&](const Protocol& it) {
    return CollectiveCost{Algorithm::kRing, it.base + (steps - across) * it.inside + across * it.across,
                          bytes * steps / ranks / (at.bandwidth(link) * it.efficiency)};
  });
}

// Up and down: a chain in the node, a double binary tree of nodes.
std::optional<CollectiveCost> tree(Exchange exchange, double bytes, int ranks, const Link& link) {
  if (exchange != Exchange::kAllReduce) return {};
  const Layout at(ranks, link);
  return cheapest(link.tree, [&](const Protocol& it) {
    return CollectiveCost{Algorithm::kTree, it.base + 2 * ((at.each - 1) * it.inside + std::log2(at.nodes) * it.across),
                          2 * bytes / (at.bandwidth(link) * it.efficiency)};
  });
}

// The switch of a node adds; between nodes a tree, at the same time.
std::optional<CollectiveCost> nvls(Exchange exchange, double bytes, int ranks, const Link& link) {
  const Layout at(ranks, link);
  if (exchange != Exchange::kAllReduce || link.nvls == 0 || at.each == 1) return {};
  const double inside = (bytes + bytes / at.each) / link.nvls;
  if (at.nodes == 1) return CollectiveCost{Algorithm::kNvls, link.nvls_base, inside};
  return CollectiveCost{Algorithm::kNvls, link.nvls_base + 2 * std::log2(at.nodes) * link.nvls_across,
                        std::max(inside, 2 * bytes / link.across)};
}

// Scattered in the node, exchanged between nodes by all its ranks at once, gathered in the node.
std::optional<CollectiveCost> hierarchical(Exchange exchange, double bytes, int ranks, const Link& link) {
  const Layout at(ranks, link);
  if (at.nodes == 1 || at.each == 1) return {};
  Link rails = link;
  rails.node = 1;
  const auto inside = ring(exchange, bytes, at.each, link);  // scatter and gather are the two phases of a sum
  const auto between = cheaper(ring(exchange, bytes, at.nodes, rails), tree(exchange, bytes, at.nodes, rails));
  if (!inside || !between) return {};
  return CollectiveCost{Algorithm::kHierarchical, inside->latency + between->latency,
                        inside->transfer + between->transfer};
}

}  // namespace

const char* to_string(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRing: return "ring";
    case Algorithm::kTree: return "tree";
    case Algorithm::kNvls: return "nvls";
    case Algorithm::kHierarchical: return "hierarchical";
  }
  return "?";
}

std::optional<CollectiveCost> cost_by(Algorithm algorithm, Exchange exchange, int64_t bytes, int ranks,
                                      const Link& link) {
  const auto size = static_cast<double>(bytes);
  switch (algorithm) {
    case Algorithm::kRing: return ring(exchange, size, ranks, link);
    case Algorithm::kTree: return tree(exchange, size, ranks, link);
    case Algorithm::kNvls: return nvls(exchange, size, ranks, link);
    case Algorithm::kHierarchical: return hierarchical(exchange, size, ranks, link);
  }
  return {};
}

CollectiveCost cost_of(Exchange exchange, int64_t bytes, int ranks, const Link& link, std::optional<Algorithm> only) {
  if (ranks == 1) return {};
  std::vector<Algorithm> algorithms{Algorithm::kRing, Algorithm::kTree, Algorithm::kNvls};
  if (only) algorithms = {*only};
  std::optional<CollectiveCost> best;
  for (const Algorithm it : algorithms) best = cheaper(best, cost_by(it, exchange, bytes, ranks, link));
  if (!best) best = cost_by(Algorithm::kRing, exchange, bytes, ranks, link);
  CHECK(best.has_value(), "a link without a ring");
  return *best;
}

double bus_bytes(Exchange exchange, int64_t bytes, int ranks) {
  return static_cast<double>(bytes) * phases(exchange) * (ranks - 1) / ranks;
}

}  // namespace convoy
