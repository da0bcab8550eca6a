#include "launcher/commands/bench_diff.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <tuple>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/io/limited_json.h"
#include "launcher/commands/step_bench.h"
#include "launcher/config/values.h"

namespace convoy {
namespace {

using nlohmann::json;

// Seconds of a step in the rounds of a point.
struct Seconds {
  double fastest = 0, slowest = 0, median = 0;
};
using Key = std::tuple<std::string, std::string, int, int64_t>;  // scaling, mode, ranks, global batch
struct Results {
  std::string network;
  std::map<Key, Seconds> points;
};

Seconds seconds_of(const json& rounds, const std::string& path) {
  std::vector<double> values;
  for (const json& round : rounds) values.push_back(round.at("seconds").get<double>());
  if (values.empty() || !std::ranges::all_of(values, [](double it) { return it > 1e-12 && it < 1e12; })) {
    bad_data(path, "expected rounds of more than 0 seconds");
  }
  const auto [fastest, slowest] = std::ranges::minmax(values);
  return {fastest, slowest, median(values)};
}

int64_t count_of(const json& point, const char* key, const std::string& path) {
  const json& count = point.at(key);
  if (!count.is_number_unsigned() || count.get<uint64_t>() > INT32_MAX) bad_data(path, std::string(key) + ": no count");
  return count.get<int64_t>();
}

std::string word_of(const json& point, const char* key, const std::string& path) {
  const auto word = point.at(key).get<std::string>();
  for (const char* known : {"weak", "strong", "synthetic", "loader", "full"}) {
    if (word == known) return word;
  }
  bad_data(path, std::string(key) + ": unknown '" + printable(word) + "'");
}

// Of results.json, or the directory it is in.
Results read(const std::string& name) {
  std::error_code ignored;
  const std::string path = std::filesystem::is_directory(name, ignored) ? name + "/results.json" : name;
  constexpr int64_t kMost = int64_t{16} << 20;
  const std::vector<std::byte> bytes = read_file(path, kMost);
  const json file = parse_limited_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
  try {
    if (file.at("format") != "convoy.scaling/1") bad_data(path, "not of `convoy bench scaling`");
    Results results{printable(file.at("network").get<std::string>()), {}};
    for (const json& point : file.at("points")) {
      const Key key{word_of(point, "scaling", path), word_of(point, "mode", path),
                    static_cast<int>(count_of(point, "ranks", path)), count_of(point, "global_batch", path)};
      if (!results.points.emplace(key, seconds_of(point.at("rounds"), path)).second)
        bad_data(path, "a point is there twice");
    }
    if (results.points.empty()) bad_data(path, "no points");
    return results;
  } catch (const json::exception&) {
    bad_data(path, "not as `convoy bench scaling` writes it");
  }
}

}  // namespace

int bench_diff(const std::string& before_path, const std::string& after_path) {
  const Results before = read(before_path), after = read(after_path);
  if (before.network != after.network) {
    throw Error(ExitCode::kUsage, "bench diff: '" + before.network + "' and '" + after.network + "' are two networks");
  }
  bool any_slower = false;
  std::printf("| scaling | mode | ranks | global batch | ms a step before | after | after / before | |\n");
  std::printf("|---|---|--:|--:|--:|--:|--:|---|\n");
  std::map<Key, std::pair<const Seconds*, const Seconds*>> both;
  for (const auto& [key, seconds] : before.points) both[key].first = &seconds;
  for (const auto& [key, seconds] : after.points) both[key].second = &seconds;
  for (const auto& [key, pair] : both) {
    const auto& [scaling, mode, ranks, batch] = key;
    const auto [was, is] = pair;
    const auto ms = [](const Seconds* it) { return it == nullptr ? std::string("–") : decimal(1e3 * it->median, 3); };
    const bool slower = was && is && is->fastest > was->slowest, faster = was && is && is->slowest < was->fastest;
    any_slower |= slower;
    std::printf("| %s | %s | %d | %lld | %s | %s | %s | %s |\n", scaling.c_str(), mode.c_str(), ranks,
                static_cast<long long>(batch), ms(was).c_str(), ms(is).c_str(),
                was && is ? decimal(is->median / was->median, 3).c_str() : "–",
                slower      ? "slower"
                : faster    ? "faster"
                : was && is ? "within the spread"
                : was       ? "only before"
                            : "only after");
  }
  return any_slower ? 1 : 0;
}

}  // namespace convoy
