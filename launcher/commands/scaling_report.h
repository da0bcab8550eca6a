// What `convoy bench scaling` writes: results.json, report.md, and charts.  docs/benchmarks.md has the format.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace convoy {

// One number of ranks, one way to share the work, one mode.
struct ScalingPoint {
  struct Round {
    double seconds = 0;             // of a step, of the slowest rank
    double communication_wait = 0;  // seconds of it, mean over ranks of their medians
    double data_wait = 0;           // likewise
  };
  int ranks = 1;
  std::string scaling;  // "weak", "strong"
  std::string mode;     // "synthetic", "loader", "full"
  int64_t global_batch = 0, micro_batch = 0;
  std::vector<Round> rounds;

  double seconds() const;  // median of the rounds
  double spread() const;   // (slowest - fastest) / median
  double images_per_second() const { return static_cast<double>(global_batch) / seconds(); }
  // Of a step, median over rounds.
  double communication_wait() const;
  double data_wait() const;
};

struct ScalingReport {
  std::map<std::string, std::string> environment;  // "date", "hosts", "program", …
  std::string experiment;                          // YAML, all of it
  std::string network;
  int repeat = 0;
  double widest_spread = 0;  // a point with more is not published
  std::vector<ScalingPoint> points;

  bool published(const ScalingPoint& point) const { return point.spread() <= widest_spread; }
  // Throughput by that of the fewest ranks, by the ratio of ranks; NaN where either is not published.
  double efficiency(const ScalingPoint& point) const;
};

nlohmann::json to_json(const ScalingReport& report);
std::string to_markdown(const ScalingReport& report);
// By file name: throughput.svg, loader.svg, efficiency.svg, breakdown.svg; none of what no point is published for.
std::map<std::string, std::string> charts(const ScalingReport& report);

}  // namespace convoy
