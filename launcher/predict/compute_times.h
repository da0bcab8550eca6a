// What the steps of a plan take on one rank: measured, or by the roofline of a device that is not here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launcher/commands/step_table.h"
#include "launcher/predict/rank_plan.h"

namespace convoy {

// A device by its data sheet, and two numbers fitted on published training runs of its generation (docs/benchmarks.md).
struct DeviceProfile {
  std::string name = {};
  double flops_per_second = 0;  // dense, of 16-bit numbers; f32, as TF32, has half
  double efficiency = 1;        // of arithmetic
  double bytes_per_second = 0;  // that a kernel reaches
  double overhead = 0;          // seconds of every step
  std::string link = {};        // if none is given
};

struct ComputeTimes {
  std::string source;   // for people
  double overhead = 0;  // seconds of every step, besides its rows
  std::function<double(const PlannedStep&, const RankPlan&)> seconds;
};

// A row takes what its arithmetic or its traffic takes, whichever is longer; in 16 bits what the network reads and
// writes is half of what the plan, which is in f32, says.
ComputeTimes roofline(const DeviceProfile& device, bool sixteen_bit);

// What `bench step` measured.
struct MeasuredStep {
  std::string source;
  std::vector<StepRow> rows;    // of one training step; those that communicate are of kind "reduce"
  double seconds = 0;           // of the step
  double waited = 0;            // of it, for other ranks
  double images = 0;            // of a rank
  double bytes_per_second = 0;  // the machine's peak
};

// Rows of the network are scaled with the images, others with their bytes; what was not measured (it is there with
// several ranks only) takes its bytes at the machine's peak, and rows that `plan`, of one rank, lacks are overhead.
// All of it together takes what the step took but for its waits.  Throws Error(kBadData) where a row with arithmetic
// was not measured: it was another network.
ComputeTimes measured(const MeasuredStep& step, const RankPlan& plan);

// What `bench step --json` printed.  Throws Error(kNoInput, kBadData).
MeasuredStep read_measured_step(const std::string& path);

// h100-sxm, …; null for any other name.
const DeviceProfile* find_device(const std::string& name);
std::string device_names();  // "h100-sxm, …"

// A profile from a JSON file: {"flops_per_second", "bytes_per_second", "efficiency", "overhead_seconds", "link"?}.
// Nothing where the file has no "efficiency".  Throws Error(kNoInput, kBadData).
std::optional<DeviceProfile> read_device(const std::string& path);

}  // namespace convoy
