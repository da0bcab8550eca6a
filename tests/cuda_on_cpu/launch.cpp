// Launches: what CUDA refuses, and the kernel's name where it fails.
#include <climits>
#include <cstdio>
#include <memory>

#include <dlfcn.h>

#include "tests/cuda_on_cpu/blocks.h"
#include "tests/cuda_on_cpu/state.h"

namespace convoy::cuda_on_cpu {
namespace {

// Slow: asks addr2line.
std::string name_of(const void* kernel) {
  Dl_info info{};
  if (dladdr(kernel, &info) == 0) return "a kernel";
  char command[4200], line[1000] = "a kernel";
  std::snprintf(command, sizeof command, "addr2line -fCe '%s' %#zx 2>&1", info.dli_fname,
                static_cast<size_t>(static_cast<const char*>(kernel) - static_cast<const char*>(info.dli_fbase)));
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command, "r"), pclose);
  if (pipe != nullptr && std::fgets(line, sizeof line, pipe.get()) == nullptr) return "a kernel";
  std::string name = line;
  while (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

bool possible(dim3 grid, dim3 block) {
  const auto threads = uint64_t{block.x} * block.y * block.z, blocks = uint64_t{grid.x} * grid.y * grid.z;
  return threads >= 1 && threads <= 1024 && block.x <= 1024 && block.y <= 1024 && block.z <= 64 && blocks >= 1 &&
         grid.x <= INT_MAX && grid.y <= 65535 && grid.z <= 65535;
}

}  // namespace

cudaError_t launch_grid(const void* kernel, dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> thread) {
  return call("cudaLaunchKernel", [&, thread = std::move(thread)]() mutable {
    if (!possible(grid, block)) return cudaErrorInvalidConfiguration;
    CudaStreamOnCpu& to = resolve(stream);
    const std::lock_guard lock(to.device->mutex);
    return give(to, [kernel, grid, block, thread = std::move(thread)] {
      try {
        run_grid(grid, block, thread);
      } catch (const KernelFault& fault) {
        throw KernelFault(name_of(kernel) + ", " + fault.what());
      }
    });
  });
}

}  // namespace convoy::cuda_on_cpu
