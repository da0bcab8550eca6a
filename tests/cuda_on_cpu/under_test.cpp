#include "core/device/device_cuda.h"
#include "layers/registry_cuda.h"
#include "tests/cuda_on_cpu/blocks.h"
#include "tests/cuda_on_cpu/machine.h"
#include "tests/layers/cuda_under_test.h"

namespace convoy {

CudaUnderTest cuda_under_test() {
  cuda_on_cpu::boot({});
  CudaUnderTest cuda{cuda_device(0), nullptr};
  cuda.kernels = cuda_kernels(*cuda.device, {});
  return cuda;
}

// Block sizes from one warp to the largest, each with another order of threads.
void for_each_way(const std::function<void(const std::string& way)>& body) {
  using cuda_on_cpu::KernelSettings, cuda_on_cpu::Order;
  const std::pair<KernelSettings, const char*> ways[] = {
      {{32, Order::kShuffled, 1}, "blocks of 32 threads, shuffled"},
      {{64, Order::kBackward}, "blocks of 64 threads, last first"},
      {{256, Order::kForward}, "blocks of 256 threads, first first"},
      {{256, Order::kShuffled, 2}, "blocks of 256 threads, shuffled"},
      {{1024, Order::kBackward}, "blocks of 1024 threads, last first"},
  };
  for (const auto& [settings, name] : ways) {
    cuda_on_cpu::kernel_settings() = settings;
    body(name);
  }
  cuda_on_cpu::kernel_settings() = {};
}

}  // namespace convoy
