// Grids of CUDA threads on one thread of the host.  Each CUDA thread runs as a fibre until it must wait for others.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace convoy::cuda_on_cpu {

// Which of the threads that could go on does: always the first in this order.  So a warp runs as far ahead of the
// others as barriers allow, and a barrier that is missing shows.
enum class Order : uint8_t { kForward, kBackward, kShuffled };  // shuffled: warps, and lanes within a warp

// Set by tests while no kernel runs.
struct KernelSettings {
  int block_threads = 256;
  Order order = Order::kForward;
  uint64_t seed = 1;
};
KernelSettings& kernel_settings();

// What a kernel did wrong, and in which block: a barrier that not all threads reach, a shuffle without all its lanes.
class KernelFault : public std::runtime_error {
 public:
  using runtime_error::runtime_error;
};

// Runs `thread` as every thread of every block, block by block.  Throws KernelFault.
void run_grid(dim3 grid, dim3 block, const std::function<void()>& thread);

// Gives it to the stream; `kernel` is for its name.
cudaError_t launch_grid(const void* kernel, dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> thread);

}  // namespace convoy::cuda_on_cpu
