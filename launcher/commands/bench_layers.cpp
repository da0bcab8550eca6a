#include "launcher/commands/bench_layers.h"

#include <algorithm>
#include <cstdio>
#include <functional>

#include "launcher/collective_errors.h"
#include "launcher/commands/step_bench.h"
#include "launcher/config/values.h"
#include "launcher/stopwatch.h"

namespace convoy {
namespace {

constexpr PassPosition kOnlyPass{.first = true, .last = true};

// Rows of the plan that do the same: one layer on the same shapes.
struct LayerRow {
  StepRow cold;         // its name is that of the layer, its kind the part of the pass: "forward"
  std::string detail;   // what it writes, and the engine
  std::string example;  // the first of them: "layer1.0.conv1"
  int count = 0;
  double warm = 0;     // seconds
  double in_step = 0;  // seconds of all of them within a step

  bool same(const LayerRow& other) const {
    return cold.name == other.cold.name && cold.kind == other.cold.kind && detail == other.detail &&
           cold.flops == other.cold.flops && cold.bytes == other.cold.bytes;
  }
  double all_cold() const { return count * cold.seconds; }
};

// Both over all layers.
double cold_seconds(const std::vector<LayerRow>& rows) {
  double sum = 0;
  for (const LayerRow& row : rows) sum += row.all_cold();
  return sum;
}
double warm_seconds(const std::vector<LayerRow>& rows) {
  double sum = 0;
  for (const LayerRow& row : rows) sum += row.count * row.warm;
  return sum;
}
double seconds_in_step(const std::vector<LayerRow>& rows) {
  double sum = 0;
  for (const LayerRow& row : rows) sum += row.in_step;
  return sum;
}

// "conv2d 32x56x56x64, weight 128x3x3x64"; what the program put beside it is "convert" or "gradients"; of all else, "".
std::string layer_of(const Graph& graph, const std::string& name) {
  const auto& nodes = graph.nodes();
  const auto node = std::ranges::find(nodes, name, &Graph::Node::name);
  if (node == nodes.end()) {
    for (const std::string added : {"convert", "gradients"}) {
      if (name.ends_with("." + added) && !name.starts_with("teacher/")) return added;
    }
    return "";
  }
  const std::vector<Shape> inputs = graph.input_shapes(*node);
  std::string text = node->layer->type();
  for (size_t i = 0; i < inputs.size(); ++i) text += (i == 0 ? " " : ", ") + to_string(inputs[i]);
  for (const ParameterSpec& parameter : node->layer->parameters(inputs)) {
    if (parameter.shape.elements() > parameter.shape.c)
      text += ", " + parameter.name + " " + to_string(parameter.shape);
  }
  return text;
}

class LayerBench {
 public:
  LayerBench(const Experiment& experiment, const Hdf5Options& hdf5, Communicator& host, Backend& backend,
             const Dataset& data)
      : device_(*backend.device),
        ops_(*backend.ops),
        bench_(experiment, hdf5, host, backend, data),
        from_(device_.allocator(), kVector * size_of(Dtype::kF32)),
        to_(device_.allocator(), kVector * size_of(Dtype::kF32)) {
    ops_.clear(from_.as<float>(), kVector, device_.compute());
    ops_.clear(to_.as<float>(), kVector, device_.compute());
  }

  std::vector<LayerRow> measure(int repeat, const MachinePeak& peak) {
    bench_.steps(StepBench::kWarmUpSteps);
    const std::vector<double> in_step = profile(repeat);
    const std::vector<Step>& steps = plan().steps();
    std::vector<LayerRow> rows;
    for (size_t i = 0; i < steps.size(); ++i) {
      steps[i].run();
      if (LayerRow row = row_of(steps[i]); !row.cold.name.empty()) {
        auto like = std::ranges::find_if(rows, [&](const LayerRow& it) { return it.same(row); });
        if (like == rows.end()) {
          time(steps[i], row);
          row.cold.floor = peak.floor(row.cold.flops, row.cold.bytes);
          like = rows.insert(like, std::move(row));
        }
        ++like->count;
        like->in_step += in_step[i];
      }
      plan().between_steps();
    }
    std::ranges::stable_sort(rows, std::greater{}, &LayerRow::all_cold);
    return rows;
  }

 private:
  const Plan& plan() { return bench_.replica().pass(kOnlyPass); }

  // Seconds of each step of the pass, in the median of `repeat`.
  std::vector<double> profile(int repeat) {
    std::vector<std::vector<double>> by_step(plan().steps().size());
    for (int i = 0; i < repeat; ++i) {
      std::vector<double> seconds;
      bench_.replica().run_timed(kOnlyPass, seconds);
      for (size_t k = 0; k < by_step.size(); ++k) by_step[k].push_back(seconds[k]);
    }
    std::vector<double> medians;
    for (std::vector<double>& seconds : by_step) medians.push_back(median(std::move(seconds)));
    return medians;
  }

  LayerRow row_of(const Step& step) {
    const size_t space = std::min(step.name.find(' '), step.name.size());
    LayerRow row{.cold = {}, .detail = step.detail, .example = step.name.substr(0, space)};
    if (step.communicates || space == step.name.size()) return row;
    row.cold.name = layer_of(bench_.replica().graph(), row.example);
    row.cold.kind = step.name.substr(space + 1);
    row.cold.flops = step.flops;
    row.cold.bytes = step.bytes;
    return row;
  }

  void time(const Step& step, LayerRow& row) {
    const int at_once = device_.runs_ahead() ? 10 : 1;
    row.warm = timed([] {},
                     [&] {
                       for (int i = 0; i < at_once; ++i) step.run();
                     }) /
               at_once;
    row.cold.seconds = timed([&] { sweep_caches(); }, step.run);
  }

  // The median, of as many runs as fit into 0.1 s with what is done before each, but of five at least.
  template <class Before, class Run>
  double timed(Before before, Run run) {
    std::vector<double> seconds;
    for (const Stopwatch all; seconds.size() < 5 || all.seconds() < 0.1;) {
      before();
      device_.compute().synchronize();
      const Stopwatch watch;
      run();
      device_.compute().synchronize();
      seconds.push_back(watch.seconds());
    }
    return median(std::move(seconds));
  }

  // Caches are left as the machine's bandwidth is measured in: full of two long vectors.
  void sweep_caches() { ops_.add(to_.as<float>(), from_.as<float>(), kVector, device_.compute()); }

  static constexpr int64_t kVector = int64_t{32} << 20;  // elements

  Device& device_;
  FlatOps& ops_;
  StepBench bench_;
  const Buffer from_, to_;
};

nlohmann::json to_json(const std::vector<LayerRow>& rows) {
  nlohmann::json listed = nlohmann::json::array();
  for (const LayerRow& row : rows) {
    listed.push_back({{"layer", row.cold.name},
                      {"step", row.cold.kind},
                      {"detail", row.detail},
                      {"example", row.example},
                      {"count", row.count},
                      {"seconds", row.cold.seconds},
                      {"seconds_warm", row.warm},
                      {"seconds_in_step", row.in_step / row.count},
                      {"flops", row.cold.flops},
                      {"bytes", row.cold.bytes},
                      {"floor_seconds", row.cold.floor}});
  }
  return listed;
}

std::string to_markdown(const std::vector<LayerRow>& rows) {
  const double total = cold_seconds(rows);
  std::string text =
      "| layer | step | times | ms | in a step | warm | share | GFLOP/s | GB/s | of peak | writes, engine |\n"
      "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n";
  for (const LayerRow& row : rows) {
    text += "| " + row.cold.name + " | " + row.cold.kind + " | " + std::to_string(row.count) + " | " +
            decimal(1e3 * row.cold.seconds, 3) + " | " + decimal(1e3 * row.in_step / row.count, 3) + " | " +
            decimal(1e3 * row.warm, 3) + " | " + decimal(100 * row.all_cold() / total, 1) + "% | " +
            rate_cells(row.cold) + " | " + row.detail + " |\n";
  }
  return text;
}

}  // namespace

void bench_layers(const CommandLine& line, const Experiment& experiment, const Hdf5Options& hdf5, Communicator& host,
                  Backend& backend, const Dataset& data) {
  const MachinePeak peak = measure_peak(backend);  // before the network takes its memory
  Experiment one_pass = experiment;
  int micro = 0;
  std::unique_ptr<LayerBench> bench;
  run_on_all_ranks(host, [&] {
    micro = resolve(experiment.batch, host.size()).micro;
    one_pass.batch = {.global = micro * host.size(), .micro = micro};
    bench = std::make_unique<LayerBench>(one_pass, hdf5, host, backend, data);
  });
  const std::vector<LayerRow> rows = bench->measure(line.repeat, peak);
  if (host.rank() != 0) return;
  const std::string device = backend.device->name(), precision = to_string(backend.precision);
  const double cold = cold_seconds(rows), warm = warm_seconds(rows), in_step = seconds_in_step(rows);
  if (line.json) {
    const nlohmann::json result{{"rows", to_json(rows)},         {"seconds", cold},      {"seconds_warm", warm},
                                {"seconds_in_step", in_step},    {"micro_batch", micro}, {"peak", to_json(peak)},
                                {"ranks", host.size()},          {"device", device},     {"precision", precision},
                                {"libraries", backend.libraries}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf("%s, %s on %s: layers on micro-batches of %d, %d rank(s)\n%s.\n", experiment.model.name.c_str(),
              precision.c_str(), device.c_str(), micro, host.size(), to_text(peak).c_str());
  std::printf(
      "All layers of the network one by one: %.2f ms; within a step %.2f ms (%+.1f%%); warm %.2f ms (%+.1f%%)\n\n",
      1e3 * cold, 1e3 * in_step, 100 * (in_step / cold - 1), 1e3 * warm, 100 * (warm / cold - 1));
  std::printf("%s", to_markdown(rows).c_str());
}

}  // namespace convoy
