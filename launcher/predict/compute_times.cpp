#include "launcher/predict/compute_times.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "core/base/log.h"
#include "launcher/predict/json_file.h"

namespace convoy {
namespace {

// A conversion between layouts, which the kernels of a GPU do without.
bool is_conversion(const PlannedStep& step) { return step.name.find(".convert ") != std::string::npos; }

bool is_compute(const StepRow& row) { return row.kind != "reduce" && row.kind != "join" && row.name != "join"; }

struct Measured {
  std::map<std::string, StepRow> rows;
  double images = 0, bytes_per_second = 0;
  std::string source;

  double seconds(const PlannedStep& step, int micro_batch) const {
    const auto found = rows.find(step.name);
    if (found == rows.end()) {
      if (step.flops > 0) bad_data(source, "has no row '" + step.name + "': another network was measured");
      return static_cast<double>(step.bytes) / bytes_per_second;
    }
    const StepRow& row = found->second;
    if (step.of_network) return row.seconds * micro_batch / images;
    return row.bytes == 0 ? row.seconds
                          : row.seconds * static_cast<double>(step.bytes) / static_cast<double>(row.bytes);
  }
};

}  // namespace

ComputeTimes roofline(const DeviceProfile& device, bool sixteen_bit) {
  const double flops = device.flops_per_second * device.efficiency * (sixteen_bit ? 1 : 0.5),
               bytes = device.bytes_per_second;
  const auto seconds = [=](const PlannedStep& step, const RankPlan&) {
    if (is_conversion(step)) return 0.0;
    const double moved = static_cast<double>(step.bytes) * (sixteen_bit && step.of_network ? 0.5 : 1);
    return std::max(static_cast<double>(step.flops) / flops, moved / bytes);
  };
  return {device.name + ", " + (sixteen_bit ? "16 bits" : "tf32"), device.overhead, seconds};
}

ComputeTimes measured(const MeasuredStep& step, const RankPlan& plan) {
  auto rows = std::make_shared<Measured>();
  *rows = {{}, step.images, step.bytes_per_second, step.source};
  double all = 0;
  for (const StepRow& row : step.rows) all += is_compute(row) ? row.seconds : 0;
  const double scale = all > 0 ? (step.seconds - step.waited) / all : 1;
  std::set<std::string> planned;
  for (const PlannedStep& it : plan.steps) planned.insert(it.name);
  ComputeTimes times{step.source, 0, {}};
  for (StepRow row : step.rows) {
    if (!is_compute(row)) continue;
    row.seconds *= scale;
    if (!planned.contains(row.name)) times.overhead += row.seconds;
    rows->rows[row.name] = row;
  }
  times.seconds = [rows](const PlannedStep& it, const RankPlan& of) {
    return it.joins ? 0 : rows->seconds(it, of.micro_batch);
  };
  for (const PlannedStep& it : plan.steps) times.seconds(it, plan);  // fails here, if it does
  return times;
}

MeasuredStep read_measured_step(const std::string& path) {
  const nlohmann::json file = read_json(path);
  return from_json<MeasuredStep>(path, "bench step", [&] {
    MeasuredStep step{.source = path, .rows = {}};
    step.seconds = positive(file.at("seconds_per_step"));
    step.waited = not_negative(file.at("communication_wait"));
    if (step.waited >= step.seconds) bad_data(path, "waits longer than a step takes");
    step.images = std::round(positive(file.at("images_per_second")) * step.seconds / positive(file.at("ranks")));
    step.bytes_per_second = positive(file.at("peak").at("bytes_per_second"));
    for (const nlohmann::json& row : file.at("rows")) {
      step.rows.push_back({.name = row.at("name").get<std::string>(),
                           .kind = row.at("kind").get<std::string>(),
                           .seconds = not_negative(row.at("seconds")),
                           .flops = static_cast<int64_t>(not_negative(row.at("flops"))),
                           .bytes = static_cast<int64_t>(not_negative(row.at("bytes")))});
    }
    if (step.images < 1) bad_data(path, "less than one image a step");
    return step;
  });
}

std::optional<DeviceProfile> read_device(const std::string& path) {
  const nlohmann::json file = read_json(path);
  if (!file.is_object() || !file.contains("efficiency")) return {};
  return from_json<DeviceProfile>(path, "docs/benchmarks.md", [&] {
    return DeviceProfile{.name = path,
                         .flops_per_second = positive(file.at("flops_per_second")),
                         .efficiency = positive(file.at("efficiency")),
                         .bytes_per_second = positive(file.at("bytes_per_second")),
                         .overhead = not_negative(file.at("overhead_seconds")),
                         .link = printable(file.value("link", ""))};
  });
}

}  // namespace convoy
