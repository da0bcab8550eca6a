// The most that a device does, measured: what the steps of a plan are held against (the roofline of Williams, Waterman
// and Patterson 2009).
#pragma once

#include <algorithm>

#include "launcher/backend.h"

namespace convoy {

struct MachinePeak {
  double flops = 0;  // a second, in the product of two matrices [2048,2048] of the backend's precision
  double bytes = 0;  // a second, read and written in a copy of 128 MiB

  // The seconds below which no work of so much arithmetic and traffic can go; 0 where it has neither.  Work whose data
  // are still in a cache can, and so can a convolution that multiplies less than it counts (Winograd).
  double floor(int64_t work_flops, int64_t work_bytes) const {
    return std::max(static_cast<double>(work_flops) / flops, static_cast<double>(work_bytes) / bytes);
  }
};

// Ranks of one host that measure at the same time find what each has beside the others.
MachinePeak measure_peak(Backend& backend);

}  // namespace convoy
