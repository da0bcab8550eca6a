#include "launcher/commands/scaling_report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "launcher/commands/step_bench.h"
#include "launcher/config/values.h"
#include "launcher/svg_chart.h"

namespace convoy {
namespace {

double median_of(const std::vector<ScalingPoint::Round>& rounds, double ScalingPoint::Round::*what) {
  std::vector<double> values;
  for (const auto& round : rounds) values.push_back(round.*what);
  return median(values);
}

std::string series(const ScalingPoint& point) { return point.scaling + ", " + point.mode; }

// The published points of each series, by ranks.
std::map<std::string, std::vector<const ScalingPoint*>> published(const ScalingReport& report) {
  std::map<std::string, std::vector<const ScalingPoint*>> all;
  for (const ScalingPoint& point : report.points) {
    if (report.published(point)) all[series(point)].push_back(&point);
  }
  for (auto& [name, points] : all) std::ranges::sort(points, std::less{}, &ScalingPoint::ranks);
  return all;
}

std::string row(const ScalingReport& report, const ScalingPoint& point) {
  std::string text = "| " + point.scaling + " | " + point.mode + " | " + std::to_string(point.ranks) + " | " +
                     std::to_string(point.global_batch) + " | ";
  const std::string spread = decimal(100 * point.spread(), 1) + "%";
  if (!report.published(point)) return text + "not published | – | – | – | – | **" + spread + "** |\n";
  const double efficiency = report.efficiency(point), ms = 1e3;
  return text + decimal(point.images_per_second(), 1) + " | " + decimal(ms * point.seconds(), 3) + " | " +
         (std::isnan(efficiency) ? "–" : decimal(100 * efficiency, 1) + "%") + " | " +
         decimal(ms * point.communication_wait(), 3) + " | " + decimal(ms * point.data_wait(), 3) + " | " + spread +
         " |\n";
}

}  // namespace

double ScalingPoint::seconds() const { return median_of(rounds, &Round::seconds); }

double ScalingPoint::spread() const {
  const auto [fastest, slowest] = std::ranges::minmax(rounds, std::less{}, &Round::seconds);
  return (slowest.seconds - fastest.seconds) / seconds();
}

double ScalingPoint::communication_wait() const { return median_of(rounds, &Round::communication_wait); }
double ScalingPoint::data_wait() const { return median_of(rounds, &Round::data_wait); }

double ScalingReport::efficiency(const ScalingPoint& point) const {
  const ScalingPoint* fewest = &point;
  for (const ScalingPoint& other : points) {
    if (series(other) == series(point) && other.ranks < fewest->ranks) fewest = &other;
  }
  if (!published(point) || !published(*fewest)) return std::numeric_limits<double>::quiet_NaN();
  return point.images_per_second() / fewest->images_per_second() * fewest->ranks / point.ranks;
}

nlohmann::json to_json(const ScalingReport& report) {
  nlohmann::json points = nlohmann::json::array();
  for (const ScalingPoint& point : report.points) {
    const bool published = report.published(point);
    nlohmann::json rounds = nlohmann::json::array();
    for (const ScalingPoint::Round& round : point.rounds) {
      rounds.push_back({{"seconds", round.seconds},
                        {"communication_wait", round.communication_wait},
                        {"data_wait", round.data_wait}});
    }
    nlohmann::json it{{"ranks", point.ranks},
                      {"scaling", point.scaling},
                      {"mode", point.mode},
                      {"global_batch", point.global_batch},
                      {"micro_batch", point.micro_batch},
                      {"rounds", rounds},
                      {"spread", point.spread()},
                      {"published", published}};
    if (published) {
      it["seconds"] = point.seconds();
      it["images_per_second"] = point.images_per_second();
      const double efficiency = report.efficiency(point);
      it["efficiency"] = std::isnan(efficiency) ? nlohmann::json() : nlohmann::json(efficiency);
    }
    points.push_back(std::move(it));
  }
  return {{"format", "convoy.scaling/1"},
          {"environment", report.environment},
          {"network", report.network},
          {"experiment", report.experiment},
          {"steps_a_round", report.repeat},
          {"widest_spread", report.widest_spread},
          {"points", points}};
}

std::string to_markdown(const ScalingReport& report) {
  std::string text = "# Scaling of " + report.network + "\n\n";
  for (const auto& [name, value] : report.environment) text += "- " + name + ": " + value + "\n";
  const size_t rounds = report.points.empty() ? 0 : report.points.front().rounds.size();
  text += "\nMedian of " + std::to_string(rounds) + " rounds, in which all points take turns with " +
          std::to_string(report.repeat) +
          " steps each. Weak: every rank has the experiment's batch; strong: all ranks together have it. A point whose "
          "rounds differ by more than " +
          decimal(100 * report.widest_spread, 0) + "% of their median is not published.\n\n";
  text +=
      "| scaling | mode | ranks | global batch | images per second | ms a step | efficiency | waits for other ranks, "
      "ms "
      "| waits for data, ms | spread |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n";
  for (const ScalingPoint& point : report.points) text += row(report, point);
  for (const auto& [file, chart] : charts(report)) text += "\n![" + file + "](" + file + ")\n";
  return text;
}

std::map<std::string, std::string> charts(const ScalingReport& report) {
  const auto all = published(report);
  if (all.empty()) return {};
  LineChart throughput{.title = report.network + ": throughput",
                       .x_label = "ranks",
                       .y_label = "images per second",
                       .log2_x = true,
                       .log2_y = true,
                       .lines = {}};
  LineChart loader = throughput;  // which alone is so much faster that nothing else could be read beside it
  loader.title = report.network + ": the loader alone";
  LineChart efficiency{.title = report.network + ": efficiency",
                       .x_label = "ranks",
                       .y_label = "of the fewest ranks, %",
                       .log2_x = true,
                       .lines = {}};
  BarChart breakdown{.title = report.network + ": a step",
                     .y_label = "ms",
                     .parts = {"compute", "waits for other ranks", "waits for data"},
                     .bars = {}};
  std::map<std::string, const ScalingPoint*> fewest;  // by mode, of which training has an ideal
  std::set<double> ranks;
  for (const auto& [name, points] : all) {
    Line speed{name, {}}, share{name, {}};
    for (const ScalingPoint* point : points) {
      speed.points.emplace_back(point->ranks, point->images_per_second());
      const double of_fewest = report.efficiency(*point);
      if (!std::isnan(of_fewest)) share.points.emplace_back(point->ranks, 100 * of_fewest);
      if (point->mode == "loader") continue;
      const double waits = point->communication_wait(), data = point->data_wait();
      breakdown.bars.push_back(
          {point->scaling.substr(0, 1) + " " + point->mode.substr(0, 4) + " " + std::to_string(point->ranks),
           {1e3 * std::max(0.0, point->seconds() - waits - data), 1e3 * waits, 1e3 * data}});
    }
    (points.front()->mode == "loader" ? loader : throughput).lines.push_back(std::move(speed));
    if (!share.points.empty()) efficiency.lines.push_back(std::move(share));
    for (const ScalingPoint* point : points) {
      ranks.insert(point->ranks);
      const ScalingPoint*& first = fewest[point->mode];
      if (first == nullptr || point->ranks < first->ranks) first = point;
    }
  }
  for (const auto& [mode, first] : fewest) {
    if (mode == "loader") continue;
    Line line{"ideal, " + mode, {}, true};
    for (const double it : ranks) {
      if (it >= first->ranks) line.points.emplace_back(it, first->images_per_second() * it / first->ranks);
    }
    throughput.lines.push_back(std::move(line));
  }
  std::map<std::string, std::string> files;
  if (!throughput.lines.empty()) files["throughput.svg"] = svg(throughput);
  if (!loader.lines.empty()) files["loader.svg"] = svg(loader);
  if (!efficiency.lines.empty()) files["efficiency.svg"] = svg(efficiency);
  if (!breakdown.bars.empty()) files["breakdown.svg"] = svg(breakdown);
  return files;
}

}  // namespace convoy
