// What `convoy bench step` prints: where the time of a training step goes, and how far each part is from what the
// machine can do.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "launcher/machine_peak.h"

namespace convoy {

// A row of the plan, over all passes of one training step.
struct StepRow {
  std::string name;  // "layer3.0.conv1 backward_weights"
  std::string kind;  // "conv2d backward_weights"
  double seconds = 0;
  int64_t flops = 0, bytes = 0;
  double floor = 0;  // seconds, of its peak; 0: it has none
};

double seconds_of(const std::vector<StepRow>& rows);
// The share of them in convolutions and matrix products.
double multiply_share(const std::vector<StepRow>& rows);

// Rows of one kind as one, in the order in which they first come.
std::vector<StepRow> by_kind(const std::vector<StepRow>& rows);

// "201 | 1.9 | 59%": GFLOP/s, GB/s, of peak; "–" where it has none.
std::string rate_cells(const StepRow& row);

// "Peak of this machine: 343 GFLOP/s in a matrix product, 53.1 GB/s in a += b"
std::string to_text(const MachinePeak& peak);
// {"flops_per_second", "bytes_per_second"}
nlohmann::json to_json(const MachinePeak& peak);

// Two Markdown tables, by kind and by row, the longest first.
std::string step_tables(std::vector<StepRow> rows, const MachinePeak& peak);

// {"rows": [{"name", "kind", "seconds", "flops", "bytes", "floor_seconds"}, …], "seconds_by_kind", "multiply_share",
//  "peak"}
nlohmann::json step_json(const std::vector<StepRow>& rows, const MachinePeak& peak);

}  // namespace convoy
