#include "launcher/commands/step_table.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "launcher/config/values.h"

namespace convoy {
namespace {

std::string cells(const StepRow& row, double total) {
  return " | " + decimal(1e3 * row.seconds, 3) + " | " + decimal(100 * row.seconds / total, 1) + "% | " +
         rate_cells(row) + " |\n";
}

std::string table(const char* title, std::vector<StepRow> rows) {
  std::ranges::stable_sort(rows, std::greater{}, &StepRow::seconds);
  const double total = seconds_of(rows);
  std::string text =
      "| " + std::string(title) + " | ms | share | GFLOP/s | GB/s | of peak |\n|---|--:|--:|--:|--:|--:|\n";
  for (const StepRow& row : rows) text += "| " + row.name + cells(row, total);
  return text;
}

}  // namespace

std::string rate_cells(const StepRow& row) {
  const auto rate = [&](int64_t count, int decimals) {
    return count == 0 ? std::string("–") : decimal(static_cast<double>(count) / row.seconds * 1e-9, decimals);
  };
  return rate(row.flops, 0) + " | " + rate(row.bytes, 1) + " | " +
         (row.floor == 0 ? "–" : decimal(100 * row.floor / row.seconds, 0) + "%");
}

std::string to_text(const MachinePeak& peak) {
  return "Peak of this machine: " + decimal(1e-9 * peak.flops_per_second, 0) + " GFLOP/s in a matrix product, " +
         decimal(1e-9 * peak.bytes_per_second, 1) + " GB/s in a += b";
}

nlohmann::json to_json(const MachinePeak& peak) {
  return {{"flops_per_second", peak.flops_per_second}, {"bytes_per_second", peak.bytes_per_second}};
}

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
      kinds.push_back({.name = row.kind, .kind = row.kind});
      kind = kinds.end() - 1;
    }
    kind->seconds += row.seconds;
    kind->flops += row.flops;
    kind->bytes += row.bytes;
    kind->floor += row.floor;
  }
  return kinds;
}

std::string step_tables(std::vector<StepRow> rows, const MachinePeak& peak) {
  double floors = 0;  // slack of one row is not made up for by another that finds its data in a cache
  for (const StepRow& row : rows) floors += std::min(row.floor, row.seconds);
  std::string text = to_text(peak) + "; a step row by row, " + decimal(1e3 * seconds_of(rows), 2) + " ms, is at " +
                     decimal(100 * floors / seconds_of(rows), 0) + "% of it.\n\n";
  text += table("kind", by_kind(rows)) + "\n";
  return text + table("step", std::move(rows));
}

nlohmann::json step_json(const std::vector<StepRow>& rows, const MachinePeak& peak) {
  nlohmann::json listed = nlohmann::json::array(), kinds;
  for (const StepRow& row : rows) {
    listed.push_back({{"name", row.name},
                      {"kind", row.kind},
                      {"seconds", row.seconds},
                      {"flops", row.flops},
                      {"bytes", row.bytes},
                      {"floor_seconds", row.floor}});
  }
  for (const StepRow& kind : by_kind(rows)) kinds[kind.name] = kind.seconds;
  return {
      {"rows", listed}, {"seconds_by_kind", kinds}, {"multiply_share", multiply_share(rows)}, {"peak", to_json(peak)}};
}

}  // namespace convoy
