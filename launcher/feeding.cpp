#include "launcher/feeding.h"

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/base/hash.h"

namespace convoy {
namespace {

struct Host {
  std::string name = {};
  int64_t samples = 0, micro_batches = 0, first_micro_batch = 0;
  int ranks = 0;
};

// In the order of their first ranks.
std::vector<Host> hosts_of(const std::vector<HostPart>& by_rank, int64_t micro_batches) {
  std::vector<Host> hosts;
  const auto world = static_cast<int>(by_rank.size());
  for (int rank = 0; rank < world; ++rank) {
    const HostPart& part = by_rank[static_cast<size_t>(rank)];
    auto host = std::ranges::find(hosts, part.host, &Host::name);
    if (host == hosts.end()) host = hosts.insert(hosts.end(), Host{.name = part.host, .samples = part.samples});
    host->micro_batches += share_of(micro_batches, rank, world).count;
    ++host->ranks;
  }
  int64_t first = 0;
  for (Host& host : hosts) {
    host.first_micro_batch = first;
    first += host.micro_batches;
  }
  return hosts;
}

int64_t steps_of(const std::vector<Host>& hosts, int micro) {
  int64_t steps = std::numeric_limits<int64_t>::max();
  for (const Host& host : hosts) {
    const int64_t rows = host.micro_batches * micro;
    if (host.samples < rows) {
      throw Error(ExitCode::kConfig, "data.sharding: local: host " + host.name + " has " +
                                         std::to_string(host.samples) + " training samples, fewer than its " +
                                         std::to_string(rows) + " rows of a step");
    }
    steps = std::min(steps, host.samples / rows);
  }
  return steps;
}

}  // namespace

Feeding feeding_from_all(int64_t samples, const ResolvedBatch& batch, uint64_t seed, int rank, int world) {
  return {Sampler({.size = samples, .global_batch = batch.global, .micro_batch = batch.micro, .seed = seed}), rank,
          world};
}

std::string to_text(const HostPart& part) {
  return std::to_string(part.samples) + "\n" + part.fingerprint + "\n" + part.host;
}

HostPart parse_host_part(const std::string& text) {
  const size_t first = text.find('\n'), second = text.find('\n', first + 1);
  CHECK(second != std::string::npos);
  return {text.substr(second + 1), std::stoll(text.substr(0, first)), text.substr(first + 1, second - first - 1)};
}

std::string fingerprint_of(const std::vector<HostPart>& by_rank) {
  std::string all;
  for (const HostPart& part : by_rank) {
    const auto first = std::ranges::find(by_rank, part.host, &HostPart::host);
    all += std::to_string(first - by_rank.begin()) + " " + part.fingerprint + "\n";
    if (part.fingerprint != first->fingerprint) {
      throw Error(ExitCode::kRanksDisagree, "rank " + std::to_string(&part - by_rank.data()) + " of host " + part.host +
                                                " has other training data than rank " +
                                                std::to_string(first - by_rank.begin()));
    }
  }
  return hash128_hex(all);
}

Feeding feeding_from_host(const std::vector<HostPart>& by_rank, const ResolvedBatch& batch, uint64_t seed, int rank) {
  const std::vector<Host> hosts = hosts_of(by_rank, batch.micro_batches);
  const std::string& mine = by_rank[static_cast<size_t>(rank)].host;
  const Host& host = *std::ranges::find(hosts, mine, &Host::name);
  const auto before = std::ranges::count(by_rank.begin(), by_rank.begin() + rank, mine, &HostPart::host);
  return {Sampler({.size = host.samples,
                   .global_batch = host.micro_batches * batch.micro,
                   .micro_batch = batch.micro,
                   .seed = seed,
                   .most_steps = steps_of(hosts, batch.micro)}),
          static_cast<int>(before), host.ranks, host.first_micro_batch * batch.micro};
}

}  // namespace convoy
