// How kernels are started: launch(kernel, grid, block, stream, arguments …), never <<<>>>; for *_cuda.cu files.
// tests/cuda_on_cpu/ has a file of this name, which runs them on the CPU.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <tuple>

#include "core/device/stream_cuda.h"

namespace convoy {

// Threads of a block where nothing speaks for another number; tests run kernels with several.  A multiple of 32, at
// most 1024; grids and shared memory must be right for any.
inline int block_threads() { return 256; }

// Arguments are converted to the kernel's parameters and copied.  Kernels use static shared memory only.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, Stream& stream, const Arguments&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments));
  std::tuple<std::decay_t<Parameters>...> values{static_cast<std::decay_t<Parameters>>(arguments)...};
  const auto addresses =
      std::apply([](auto&... value) { return std::array<void*, sizeof...(Parameters)>{&value...}; }, values);
  check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, const_cast<void**>(addresses.data()), 0,
                         cuda_stream(stream)));
}

}  // namespace convoy
