#include "core/graph/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace convoy {
namespace {

constexpr int64_t kAlignment = 256;

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

bool overlap(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

int64_t live_peak(const std::vector<Lifetime>& values) {
  int64_t peak = 0;
  for (const Lifetime& at : values) {  // a peak is reached where some value is born
    int64_t live = 0;
    for (const Lifetime& value : values) {
      if (value.first <= at.first && at.first <= value.last) live += aligned(value.bytes);
    }
    peak = std::max(peak, live);
  }
  return peak;
}

}  // namespace

MemoryPlan place(const std::vector<Lifetime>& values) {
  MemoryPlan plan;
  plan.lifetimes = values;
  plan.offsets.resize(values.size());
  plan.live_peak_bytes = live_peak(values);

  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return values[a].bytes > values[b].bytes; });

  std::vector<size_t> placed;  // by offset
  for (size_t index : order) {
    const int64_t bytes = aligned(values[index].bytes);
    plan.total_bytes += bytes;
    int64_t offset = 0;
    for (size_t other : placed) {
      if (!overlap(values[index], values[other])) continue;
      if (offset + bytes <= plan.offsets[other]) break;  // fits into the gap below `other`
      offset = std::max(offset, plan.offsets[other] + aligned(values[other].bytes));
    }
    plan.offsets[index] = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + bytes);
    placed.insert(std::ranges::upper_bound(placed, offset, {}, [&](size_t i) { return plan.offsets[i]; }), index);
  }
  return plan;
}

}  // namespace convoy
