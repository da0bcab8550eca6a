// Ranks as threads, each with a GPU of its own of the machine that tests/cuda_on_cpu pretends to be.
#pragma once

#include <functional>

#include "core/device/device_cuda.h"
#include "dist/nccl_cuda.h"
#include "dist/staged.h"
#include "dist/thread_group.h"
#include "tests/cuda_on_cpu/machine.h"
#include "tests/cuda_on_cpu/nccl_faults.h"

namespace convoy {

enum class Sums { kByNccl, kByNcclUnregistered, kThroughHost };

inline void run_gpu_ranks(int ranks, Sums sums, const std::function<void(Communicator&, Device&)>& body,
                          const cuda_on_cpu::NcclFaults& faults = {}) {
  cuda_on_cpu::boot({.schedule = cuda_on_cpu::Schedule::kThreads});
  cuda_on_cpu::nccl_faults() = faults;
  run_thread_group(ranks, [&](Communicator& host) {
    const std::unique_ptr<Device> device = cuda_device(host.rank());
    const std::unique_ptr<Communicator> communicator =
        sums == Sums::kThroughHost ? make_staged_communicator(host, *device)
                                   : nccl_communicator(host, *device, {.symmetric = sums == Sums::kByNccl});
    body(*communicator, *device);
  });
}

}  // namespace convoy
