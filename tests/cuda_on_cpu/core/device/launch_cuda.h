// In the place of core/device/launch_cuda.h: kernels run as fibres, see tests/cuda_on_cpu/blocks.h.
#pragma once

#include <cuda_runtime.h>

#include <tuple>
#include <type_traits>

#include "core/device/stream_cuda.h"
#include "tests/cuda_on_cpu/blocks.h"

namespace convoy {

inline int block_threads() { return cuda_on_cpu::kernel_settings().block_threads; }

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, Stream& stream, const Arguments&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments));
  static_assert((std::is_trivially_copyable_v<std::decay_t<Parameters>> && ...), "arguments travel as bytes");
  const std::tuple<std::decay_t<Parameters>...> values{static_cast<std::decay_t<Parameters>>(arguments)...};
  check(cuda_on_cpu::launch_grid(reinterpret_cast<const void*>(kernel), grid, block, cuda_stream(stream),
                                 [kernel, values] { std::apply(kernel, values); }));
}

}  // namespace convoy
