// How own loops of the CPU share out channels that are reduced over pixels.
#pragma once

#include <algorithm>

#include "layers/kernel_cpu.h"

namespace convoy {

inline constexpr int64_t kLanes = 16;  // channels in registers

// Calls body(plane, first, lanes) for all planes and chunks of at most kLanes channels, on all threads.
template <class Body>
void for_chunks(const Planes& p, const Body& body) {
  const int64_t chunks = (p.inner + kLanes - 1) / kLanes;
  const int64_t grain = std::max<int64_t>(1, kGrain / (p.pixels * std::min(p.inner, kLanes)));
  for_ranges(p.outer * chunks, grain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % chunks * kLanes;
      const int64_t lanes = p.inner - first < kLanes ? p.inner - first : kLanes;
      // A constant number of lanes is what the compiler keeps in registers.
      if (lanes == kLanes)
        body(i / chunks, first, kLanes);
      else
        body(i / chunks, first, lanes);
    }
  });
}

}  // namespace convoy
