#include "core/base/simd.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace convoy {
namespace {

SimdLevel detect() {
  SimdLevel best = SimdLevel::kBaseline;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) best = SimdLevel::kAvx2;
  if (best == SimdLevel::kAvx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    best = SimdLevel::kAvx512;
  }
#endif
  const char* wanted = std::getenv("CONVOY_SIMD");
  if (wanted == nullptr) return best;
  for (SimdLevel level : {SimdLevel::kBaseline, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
    if (std::string_view(wanted) == to_string(level)) return std::min(level, best);
  }
  return best;
}

}  // namespace

SimdLevel simd_level() {
  static const SimdLevel level = detect();
  return level;
}

const char* to_string(SimdLevel level) {
  switch (level) {
    case SimdLevel::kBaseline: return "baseline";
    case SimdLevel::kAvx2: return "avx2";
    case SimdLevel::kAvx512: return "avx512";
  }
  return "?";
}

}  // namespace convoy
