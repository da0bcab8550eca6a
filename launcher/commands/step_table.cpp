#include "launcher/commands/step_table.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>

namespace convoy {
namespace {

std::string printed(double value, int decimals) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

double floor_of(const StepRow& row, const MachinePeak& peak) {
  return row.communicates ? 0 : peak.floor(row.flops, row.bytes);
}

std::string cells(const StepRow& row, double total, const MachinePeak& peak) {
  const auto rate = [&](int64_t count, int decimals) {
    return count == 0 ? std::string("–") : printed(static_cast<double>(count) / row.seconds * 1e-9, decimals);
  };
  const double floor = floor_of(row, peak);
  return " | " + printed(1e3 * row.seconds, 3) + " | " + printed(100 * row.seconds / total, 1) + "% | " +
         rate(row.flops, 0) + " | " + rate(row.bytes, 1) + " | " +
         (floor == 0 ? "–" : printed(100 * floor / row.seconds, 0) + "%") + " |\n";
}

std::string table(const char* title, std::vector<StepRow> rows, const MachinePeak& peak) {
  std::ranges::stable_sort(rows, std::greater{}, &StepRow::seconds);
  const double total = seconds_of(rows);
  std::string text =
      "| " + std::string(title) + " | ms | share | GFLOP/s | GB/s | of peak |\n|---|--:|--:|--:|--:|--:|\n";
  for (const StepRow& row : rows) text += "| " + row.name + cells(row, total, peak);
  return text;
}

}  // namespace

double seconds_of(const std::vector<StepRow>& rows) {
  return std::transform_reduce(rows.begin(), rows.end(), 0.0, std::plus{},
                               [](const StepRow& row) { return row.seconds; });
}

double multiply_share(const std::vector<StepRow>& rows) {
  std::vector<StepRow> products = rows;
  std::erase_if(products, [](const StepRow& row) { return row.flops == 0; });
  return seconds_of(products) / seconds_of(rows);
}

std::vector<StepRow> by_kind(const std::vector<StepRow>& rows) {
  std::vector<StepRow> kinds;
  for (const StepRow& row : rows) {
    auto kind = std::ranges::find(kinds, row.kind, &StepRow::name);
    if (kind == kinds.end()) {
      kinds.push_back({.name = row.kind, .kind = row.kind, .communicates = row.communicates});
      kind = kinds.end() - 1;
    }
    kind->seconds += row.seconds;
    kind->flops += row.flops;
    kind->bytes += row.bytes;
  }
  return kinds;
}

std::string step_tables(std::vector<StepRow> rows, const MachinePeak& peak) {
  const double floors = std::transform_reduce(rows.begin(), rows.end(), 0.0, std::plus{},
                                              [&](const StepRow& row) { return floor_of(row, peak); });
  std::string text = "Peak of this machine: " + printed(1e-9 * peak.flops, 0) + " GFLOP/s in a matrix product, " +
                     printed(1e-9 * peak.bytes, 1) + " GB/s in a copy; the step is at " +
                     printed(100 * floors / seconds_of(rows), 0) + "% of it.\n\n";
  text += table("kind", by_kind(rows), peak) + "\n";
  return text + table("step", std::move(rows), peak);
}

nlohmann::json step_json(const std::vector<StepRow>& rows, const MachinePeak& peak) {
  nlohmann::json listed = nlohmann::json::array(), kinds;
  for (const StepRow& row : rows) {
    listed.push_back(
        {{"name", row.name}, {"kind", row.kind}, {"seconds", row.seconds}, {"flops", row.flops}, {"bytes", row.bytes}});
  }
  for (const StepRow& kind : by_kind(rows)) kinds[kind.name] = kind.seconds;
  return {{"rows", listed},
          {"seconds_by_kind", kinds},
          {"multiply_share", multiply_share(rows)},
          {"peak", {{"flops_per_second", peak.flops}, {"bytes_per_second", peak.bytes}}}};
}

}  // namespace convoy
