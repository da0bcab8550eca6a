#include "launcher/predict/prediction.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "launcher/config/values.h"
#include "launcher/svg_chart.h"

namespace convoy {
namespace {

constexpr double kNoLoss = 0.05;

struct Simulated {
  StepTimes times;
  double compute = 0, bus_bytes = 0;
  std::set<Algorithm> algorithms;
};

Simulated simulated(const RankPlan& plan, int ranks, const Machine& machine) {
  Simulated result;
  std::vector<StepEvent> events;
  const auto add = [&](double seconds) {
    events.push_back({.kind = StepEvent::Kind::kCompute, .seconds = seconds});
    result.compute += seconds;
  };
  add(machine.compute.overhead);
  for (const PlannedStep& step : plan.steps) {
    for (const auto& [kind, bytes] : step.exchanges) {
      const CollectiveCost cost = cost_of(kind, bytes, ranks, machine.link, machine.algorithm);
      events.push_back({.kind = StepEvent::Kind::kExchange, .exchange = cost});
      result.bus_bytes += bus_bytes(kind, bytes, ranks);
      if (ranks > 1) result.algorithms.insert(cost.algorithm);
    }
    if (step.exchanges.empty()) add(machine.compute.seconds(step, plan));
    if (step.joins) events.push_back({.kind = StepEvent::Kind::kJoin});
  }
  result.times = simulate(events, machine.link.contention);
  return result;
}

std::string ms(double seconds) { return decimal(1e3 * seconds, 3); }
std::string percent(double share) { return decimal(100 * share, 1) + "%"; }

}  // namespace

std::string Prediction::limit() const {
  const std::array<std::pair<double, const char*>, 4> losses{{{times.exposed_latency, "latency"},
                                                              {times.exposed - times.exposed_latency, "bandwidth"},
                                                              {times.slowed, "shared processors"},
                                                              {stragglers, "stragglers"}}};
  double all = 0;
  for (const auto& [loss, _] : losses) all += loss;
  return all < kNoLoss * seconds() ? "compute" : std::ranges::max(losses).second;
}

Prediction predict(const RankPlan& plan, const RankPlan& alone, int ranks, const Machine& machine) {
  const Simulated step = simulated(plan, ranks, machine);
  Prediction result{.ranks = ranks, .images = plan.images, .times = step.times};
  result.alone = simulated(alone, 1, machine).times.seconds;
  result.stragglers = machine.jitter * step.compute * std::sqrt(2 * std::log(ranks));
  if (step.times.busy > 0) result.bus_bandwidth = step.bus_bytes / step.times.busy;
  for (const Algorithm it : step.algorithms)
    result.algorithms += (result.algorithms.empty() ? "" : ", ") + std::string(to_string(it));
  if (result.algorithms.empty()) result.algorithms = "–";
  return result;
}

std::string to_markdown(const std::vector<Prediction>& by_ranks) {
  std::string text =
      "| ranks | ms a step | images/s | efficiency | exposed, ms | busy, ms | busbw, GB/s | by | limited by |\n"
      "|--:|--:|--:|--:|--:|--:|--:|---|---|\n";
  for (const Prediction& it : by_ranks) {
    text += "| " + std::to_string(it.ranks) + " | " + ms(it.seconds()) + " | " + decimal(it.images_per_second(), 1) +
            " | " + percent(it.efficiency()) + " | " + ms(it.times.exposed) + " | " + ms(it.times.busy) + " | " +
            (it.bus_bandwidth > 0 ? decimal(1e-9 * it.bus_bandwidth, 2) : "–") + " | " + it.algorithms + " | " +
            it.limit() + " |\n";
  }
  return text;
}

std::string to_markdown(const Prediction& as_it_is, const std::vector<Variant>& variants) {
  std::string text =
      "| with " + std::to_string(as_it_is.ranks) +
      " ranks | ms a step | images/s | efficiency | exposed, ms | images/s, of that |\n|---|--:|--:|--:|--:|--:|\n";
  const auto row = [&](const std::string& name, const Prediction& it) {
    text += "| " + name + " | " + ms(it.seconds()) + " | " + decimal(it.images_per_second(), 1) + " | " +
            percent(it.efficiency()) + " | " + ms(it.times.exposed) + " | " +
            percent(it.images_per_second() / as_it_is.images_per_second()) + " |\n";
  };
  row("as it is", as_it_is);
  for (const auto& [name, prediction] : variants) row(name, prediction);
  return text;
}

nlohmann::json to_json(const Prediction& it) {
  return {{"ranks", it.ranks},
          {"images_per_rank", it.images},
          {"seconds_per_step", it.seconds()},
          {"images_per_second", it.images_per_second()},
          {"efficiency", it.efficiency()},
          {"seconds_alone", it.alone},
          {"exposed", it.times.exposed},
          {"exposed_latency", it.times.exposed_latency},
          {"busy", it.times.busy},
          {"slowed", it.times.slowed},
          {"stragglers", it.stragglers},
          {"busbw", it.bus_bandwidth},
          {"algorithms", it.algorithms},
          {"limited_by", it.limit()}};
}

std::string chart(const std::string& title, const std::vector<Prediction>& by_ranks) {
  Line predicted{"predicted", {}}, ideal{"ideal", {}, true};
  for (const Prediction& it : by_ranks) {
    predicted.points.emplace_back(it.ranks, it.images_per_second());
    ideal.points.emplace_back(it.ranks, it.images_per_second() / it.efficiency());
  }
  return svg(LineChart{.title = title,
                       .x_label = "ranks",
                       .y_label = "images per second",
                       .log2_x = true,
                       .log2_y = true,
                       .lines = {predicted, ideal}});
}

}  // namespace convoy
