#include "launcher/commands/bench_diff.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <tuple>

#include "core/base/file.h"
#include "core/io/limited_json.h"
#include "launcher/commands/step_bench.h"

namespace convoy {
namespace {

using nlohmann::json;

// Seconds of a step in the rounds of a point.
struct Seconds {
  double fastest = 0, slowest = 0, median = 0;
};
using Key = std::tuple<std::string, std::string, int>;  // scaling, mode, ranks
using Points = std::map<Key, Seconds>;

Seconds seconds_of(const json& rounds, const std::string& path) {
  std::vector<double> values;
  for (const json& round : rounds) values.push_back(round.at("seconds").get<double>());
  if (values.empty() || !std::ranges::all_of(values, [](double it) { return std::isfinite(it) && it > 0; })) {
    bad_data(path, "expected rounds of more than 0 seconds, found " + rounds.dump());
  }
  const auto [fastest, slowest] = std::ranges::minmax(values);
  return {fastest, slowest, median(values)};
}

// Of results.json, or the directory it is in.
Points read(const std::string& name) {
  std::error_code ignored;
  const std::string path = std::filesystem::is_directory(name, ignored) ? name + "/results.json" : name;
  constexpr int64_t kMost = int64_t{16} << 20;
  const std::vector<std::byte> bytes = read_file(path, kMost);
  const json results = parse_limited_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
  try {
    if (results.at("format") != "convoy.scaling/1") bad_data(path, "not of `convoy bench scaling`");
    Points points;
    for (const json& point : results.at("points")) {
      points[{point.at("scaling"), point.at("mode"), point.at("ranks")}] = seconds_of(point.at("rounds"), path);
    }
    return points;
  } catch (const json::exception&) {
    bad_data(path, "not as `convoy bench scaling` writes it");
  }
}

}  // namespace

int bench_diff(const std::string& before_path, const std::string& after_path) {
  const Points before = read(before_path), after = read(after_path);
  bool any_slower = false;
  std::printf(
      "| scaling | mode | ranks | ms a step before | after | after / before | |\n|---|---|--:|--:|--:|--:|---|\n");
  for (const auto& [key, was] : before) {
    const auto& [scaling, mode, ranks] = key;
    const auto found = after.find(key);
    if (found == after.end()) {
      std::printf("| %s | %s | %d | %.3f | – | – | only before |\n", scaling.c_str(), mode.c_str(), ranks,
                  1e3 * was.median);
      continue;
    }
    const Seconds& is = found->second;
    const bool slower = is.fastest > was.slowest, faster = is.slowest < was.fastest;
    any_slower |= slower;
    std::printf("| %s | %s | %d | %.3f | %.3f | %.3f | %s |\n", scaling.c_str(), mode.c_str(), ranks, 1e3 * was.median,
                1e3 * is.median, is.median / was.median,
                slower   ? "slower"
                : faster ? "faster"
                         : "within the spread");
  }
  for (const auto& [key, is] : after) {
    if (before.contains(key)) continue;
    const auto& [scaling, mode, ranks] = key;
    std::printf("| %s | %s | %d | – | %.3f | – | only after |\n", scaling.c_str(), mode.c_str(), ranks,
                1e3 * is.median);
  }
  return any_slower ? 1 : 0;
}

}  // namespace convoy
