// What a training step on many ranks comes to, and where it loses.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "launcher/predict/compute_times.h"
#include "launcher/predict/step_simulation.h"

namespace convoy {

struct Machine {
  ComputeTimes compute;
  Link link;
  std::optional<Algorithm> algorithm = {};  // else the cheapest for each exchange
  double jitter = 0.005;                    // standard deviation of a rank's computation, as a share of it
};

struct Prediction {
  int ranks = 1, images = 0;    // of a rank
  StepTimes times = {};         // of a rank that waits for nobody who is late
  double stragglers = 0;        // seconds until the last of the ranks is there
  double alone = 0;             // seconds of a step of one rank
  double bus_bandwidth = 0;     // bytes per second while exchanges are under way
  std::string algorithms = {};  // "ring", "tree, nvls"; "–": nothing is exchanged

  double seconds() const { return times.seconds + stragglers; }
  double images_per_second() const { return ranks * static_cast<double>(images) / seconds(); }
  double efficiency() const { return alone / seconds(); }
  // What most of the loss against one rank is due to: latency, bandwidth, "shared processors" or stragglers; compute
  // where all of it is less than a twentieth of the step.
  std::string limit() const;
};

// `alone`: the plan of one rank.  Expected lateness of the last of p ranks: jitter √(2 ln p) of their computation.
Prediction predict(const RankPlan& plan, const RankPlan& alone, int ranks, const Machine& machine);

// A change to the experiment and what it leads to.
struct Variant {
  std::string name;
  Prediction prediction;
};

std::string to_markdown(const std::vector<Prediction>& by_ranks);
std::string to_markdown(const Prediction& as_it_is, const std::vector<Variant>& variants);
nlohmann::json to_json(const Prediction& prediction);
std::string chart(const std::string& title, const std::vector<Prediction>& by_ranks);  // an SVG

}  // namespace convoy
