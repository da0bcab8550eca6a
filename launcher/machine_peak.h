// What a device does at best, measured: what the steps of a plan are held against (the roofline of Williams, Waterman
// and Patterson 2009).
#pragma once

#include <algorithm>

#include "launcher/backend.h"

namespace convoy {

struct MachinePeak {
  double flops_per_second = 0;  // in the product of two matrices [2048,2048] of the backend's precision
  double bytes_per_second = 0;  // in a += b over two vectors of 128 MiB: two are read and one is written

  // The seconds below which no work of so much arithmetic and traffic can go; 0 where it has neither.  Work whose data
  // are still in a cache can, and so can a convolution that multiplies less than it counts (Winograd).
  double floor(int64_t flops, int64_t bytes) const {
    return std::max(static_cast<double>(flops) / flops_per_second, static_cast<double>(bytes) / bytes_per_second);
  }
};

// Of all that follows: ranks of one host that measure at the same time find what each has beside the others.
MachinePeak measure_peak(Backend& backend);
double measure_bandwidth(Backend& backend);  // bytes_per_second alone

}  // namespace convoy
