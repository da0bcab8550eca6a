// The loop of element-wise kernels, and how they read and write memory; for *_cuda.cu files.
//
//   template <class T>
//   struct Relu {
//     const T* x;
//     T* y;
//     template <int N>
//     __device__ void run(int64_t i) const {  // the elements [i, i + N)
//       Pack<T, N> pack = load<N>(x + i);
//       for (T& element : pack.at) element = to_float(element) <= 0 ? T{} : element;
//       store(y + i, pack);
//     }
//   };
//   for_each<kPack<T>>(Relu<T>{x, y}, elements, aligned<kPack<T>>(x, y), stream);
#pragma once

#include <algorithm>

#include "core/device/elements_cuda.h"
#include "core/device/launch_cuda.h"

namespace convoy {

// Blocks of block_threads() threads that walk `items` with a grid-stride loop.
inline unsigned blocks_for(int64_t items) {
  constexpr int64_t kMostBlocks = 132 * 16;  // enough to fill the largest card; more only adds launches of blocks
  const int block = block_threads();
  return static_cast<unsigned>(std::clamp<int64_t>((items + block - 1) / block, 1, kMostBlocks));
}

// Whether load<N> and store<N> work from these addresses on; null does.
template <int N, class... T>
bool aligned(const T*... from) {
  return ((reinterpret_cast<uintptr_t>(from) % sizeof(Pack<T, N>) == 0) && ...);
}

template <int N, class T>
__device__ inline Pack<T, N> load(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <class T, int N>
__device__ inline void store(T* to, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

// An op may have a method bool start(), called by all threads before anything else: what it must look up in device
// memory, or compute, only once; false where there is nothing to do.
template <int N, class Op>
__global__ void for_each_kernel(Op op, int64_t elements) {
  if constexpr (requires { op.start(); }) {
    if (!op.start()) return;
  }
  const int64_t thread = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x * N;
  for (int64_t i = thread * N; i + N <= elements; i += stride) op.template run<N>(i);
  if constexpr (N > 1) {
    const int64_t rest = elements % N;
    if (thread < rest) op.template run<1>(elements - rest + thread);
  }
}

// Runs `op` on all elements: N at a time where `in_packs`, and one by one what does not fill a pack.
template <int N, class Op>
void for_each(const Op& op, int64_t elements, bool in_packs, Stream& stream) {
  if (elements == 0) return;
  if (in_packs) {
    launch(for_each_kernel<N, Op>, blocks_for(elements / N), block_threads(), stream, op, elements);
  } else {
    launch(for_each_kernel<1, Op>, blocks_for(elements), block_threads(), stream, op, elements);
  }
}

}  // namespace convoy
