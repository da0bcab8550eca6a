#include "launcher/predict/link_text.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "launcher/config/values.h"
#include "launcher/predict/json_file.h"

namespace convoy {
namespace {

constexpr double kMicro = 1e-6, kGiga = 1e9;
constexpr int kGpuNode = 8;
// NCCL takes about 16 blocks for a sum; an H100 has 132 processors, an A100 108.
constexpr double kShareOfGpu = 0.12;

struct Hops {
  double ring[3], tree[3];  // µs, of LL, LL128, Simple
};
// NCCL's baseLatencies and hwLatencies, v2.28.9.
constexpr Hops kBase{{6.6, 14, 8.4}, {6.8, 14, 8.4}}, kNvLink{{0.6, 1.9, 3.4}, {0.6, 1.25, 4}},
    kPcie{{1, 2.5, 5.7}, {1, 1.9, 4}}, kNetwork{{2.7, 4, 14}, {5, 8.5, 14}};
constexpr double kEfficiency[] = {0.5, 0.92, 1};  // of LL, LL128, Simple
constexpr double kNvlsBase = 25, kNvlsTree = 20.9, kNvlsEfficiency = 0.85;

// What joins the ranks of a node, or nodes, or both.
struct Part {
  std::string name;
  enum class Where : uint8_t { kInside, kAcross, kAny } where = Where::kAny;
  double bandwidth = 0;  // bytes per second
  Hops hops = {};
  bool nccl = false;      // else one protocol without a base, whose hop is that of Simple
  bool switched = false;  // adds
  Contention contention = {};
};

Part named(const char* name, Part::Where where, double gigabytes, const Hops& hops, bool switched = false) {
  return {name, where, kGiga * gigabytes, hops, true, switched, {.share = kShareOfGpu}};
}

// NVLink: NCCL's rate of a link, 20.6 and 20 GB/s, by 18 and 12.  Adapters and PCIe: the line.  Ethernet as RoCE.
const std::vector<Part>& parts() {
  using enum Part::Where;
  static const std::vector<Part> all{
      named("nvlink4", kInside, 18 * 20.6, kNvLink, true),
      named("nvlink3", kInside, 12 * 20.0, kNvLink),
      named("pcie5", kInside, 48, kPcie),
      named("pcie4", kInside, 24, kPcie),
      named("ndr", kAcross, 50, kNetwork),
      named("hdr", kAcross, 25, kNetwork),
      named("400gbe", kAcross, 50, kNetwork),
      named("100gbe", kAcross, 12.5, kNetwork),
      named("25gbe", kAcross, 3.125, kNetwork),
  };
  return all;
}
constexpr std::pair<const char*, const char*> kWholes[] = {{"dgx-h100", "nvlink4+8xndr"},
                                                           {"dgx-a100", "nvlink3+8xhdr"}};

[[noreturn]] void wrong_link(const std::string& found) {
  std::string names;
  for (const auto& [name, _] : kWholes) names += std::string(name) + ", ";
  for (const Part& part : parts()) names += part.name + ", ";
  throw Error(ExitCode::kUsage, "--link: expected " + names +
                                    "MICROSECONDS,GB_PER_S or a file of bench all-reduce --json, found '" + found +
                                    "'");
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0) || value > 1e9) return {};
  return value;
}

Part by_hop(std::string name, const Hop& hop, const Contention& contention) {
  const double latency = hop.latency / kMicro;
  const Hops hops{{0, 0, latency}, {0, 0, latency}};
  return {std::move(name), Part::Where::kAny, hop.bandwidth, hops, false, false, contention};
}

Part from_file(const std::string& path) {
  const nlohmann::json file = read_json(path);
  return from_json<Part>(path, "bench all-reduce", [&] {
    std::vector<std::pair<double, double>> sums;
    const std::string communicator = file.at("communicator");
    const bool gpu = communicator.starts_with("nccl") || communicator.starts_with("staged");
    double seconds = 0, beside = 0, taken = 0;
    for (const nlohmann::json& size : file.at("sizes")) {
      sums.emplace_back(positive(size.at("bytes")), positive(size.at("seconds")));
      if (gpu) continue;
      seconds += sums.back().second;
      beside += positive(size.at("seconds_beside"));
      taken += positive(size.at("seconds_beside")) * not_negative(size.at("share_beside"));
    }
    const double ranks = positive(file.at("ranks"));
    if (sums.size() < 2) bad_data(path, "expected sums of two sizes at least");
    if (ranks < 2 || ranks > 1e6) bad_data(path, "expected sums over several ranks");
    const Contention both = gpu ? Contention{.share = kShareOfGpu}
                                : Contention{std::min(taken / beside, 1.0), std::max(beside / seconds, 1.0)};
    return by_hop(path, fit_hop(sums, static_cast<int>(ranks)), both);
  });
}

Part parse_part(const std::string& text) {
  const auto known = std::ranges::find(parts(), text, &Part::name);
  if (known != parts().end()) return *known;
  std::error_code ignored;
  if (std::filesystem::exists(text, ignored)) return from_file(text);
  const size_t comma = text.find(',');
  if (comma == std::string::npos) wrong_link(text);
  const auto latency = number(std::string_view(text).substr(0, comma)),
             bandwidth = number(std::string_view(text).substr(comma + 1));
  if (!latency || !bandwidth || *bandwidth == 0) wrong_link(text);
  return by_hop(text, {kMicro * *latency, kGiga * *bandwidth}, {});
}

std::vector<Protocol> protocols(const Part* inside, const Part* across, bool ring) {
  std::vector<Protocol> all;
  const auto hop = [&](const Part* part, size_t i) {
    return part == nullptr ? 0 : kMicro * (ring ? part->hops.ring : part->hops.tree)[part->nccl ? i : 2];
  };
  const bool nccl = (inside != nullptr && inside->nccl) || (across != nullptr && across->nccl);
  for (size_t i = nccl ? 0 : 2; i < 3; ++i) {
    all.push_back(
        {nccl ? kMicro * (ring ? kBase.ring : kBase.tree)[i] : 0, hop(inside, i), hop(across, i), kEfficiency[i]});
  }
  return all;
}

Link join_parts(std::string name, const Part* inside, const Part* across, int adapters, int node) {
  Link link{.name = std::move(name), .node = node};
  link.ring = protocols(inside, across, true);
  link.tree = protocols(inside, across, false);
  if (inside != nullptr) {
    link.inside = inside->bandwidth;
    link.contention = inside->contention;
    if (inside->switched) link.nvls = kNvlsEfficiency * inside->bandwidth;
  }
  if (across != nullptr) {
    link.across = adapters * across->bandwidth;
    link.contention = {std::max(link.contention.share, across->contention.share),
                       std::max(link.contention.stretch, across->contention.stretch)};
  }
  link.nvls_base = kMicro * kNvlsBase;
  link.nvls_across = kMicro * kNvlsTree;
  return link;
}

// "8xndr" → 8 and "ndr".
std::pair<int, std::string> split_adapters(const std::string& text) {
  const size_t times = text.find('x');
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + std::min(times, text.size()), count);
  if (times == std::string::npos || error != std::errc() || end != text.data() + times) return {1, text};
  if (count < 1 || count > 1024) wrong_link(text);
  return {count, text.substr(times + 1)};
}

}  // namespace

Hop fit_hop(const std::vector<std::pair<double, double>>& bytes_and_seconds, int ranks) {
  const auto [least, fastest] = std::ranges::min(bytes_and_seconds);
  double xx = 0, xy = 0;
  for (const auto& [bytes, seconds] : bytes_and_seconds) {
    xx += (bytes - least) * (bytes - least);
    xy += (bytes - least) * (seconds - fastest);
  }
  const double per_byte = std::max(xx > 0 ? xy / xx : 0, 1e-15);
  const double steps = 2 * (ranks - 1);
  return {std::max(fastest - per_byte * least, 0.0) / steps, steps / ranks / per_byte};
}

Link parse_link(const std::string& text, std::optional<int> node) {
  const auto* const whole = std::ranges::find(kWholes, text, &std::pair<const char*, const char*>::first);
  if (whole != std::end(kWholes)) {
    Link link = parse_link(whole->second, node);
    link.name = text;
    return link;
  }
  std::error_code ignored;
  const size_t plus = std::filesystem::exists(text, ignored) ? std::string::npos : text.find('+');
  if (plus != std::string::npos) {
    const Part inside = parse_part(text.substr(0, plus));
    const auto [adapters, name] = split_adapters(text.substr(plus + 1));
    const Part across = parse_part(name);
    using enum Part::Where;
    if (inside.where == kAcross)
      throw Error(ExitCode::kUsage, "--link: " + inside.name + " joins nodes: NVLINK+" + inside.name);
    if (across.where == kInside) throw Error(ExitCode::kUsage, "--link: " + across.name + " does not join nodes");
    return join_parts(text, &inside, &across, adapters, node.value_or(kGpuNode));
  }
  const Part only = parse_part(text);
  if (only.where == Part::Where::kInside) return join_parts(text, &only, nullptr, 1, node.value_or(kGpuNode));
  if (node) throw Error(ExitCode::kUsage, "--node: " + text + " joins all ranks alike; a node needs INSIDE+ACROSS");
  return join_parts(text, nullptr, &only, 1, 1);
}

}  // namespace convoy
