#include "layers/loss_cuda.cuh"

namespace convoy {
namespace {

__device__ RowResult both(RowResult a, RowResult b) {
  return {a.loss + b.loss, a.correct + b.correct, a.correct_top5 + b.correct_top5};
}

__global__ void __launch_bounds__(kMostLossThreads)
    add_up_kernel(const RowResult* results, int rows, bool evaluates, const StepScalars* scalars, float* control) {
  __shared__ RowResult scratch[kMostLossThreads];
  const int valid = std::min(scalars->valid_rows, rows);
  RowResult sum{};
  for (int row = static_cast<int>(threadIdx.x); row < valid; row += static_cast<int>(blockDim.x)) {
    sum = both(sum, results[row]);
  }
  sum = reduce(sum, scratch, both);
  if (threadIdx.x != 0) return;
  control[kLossSum] += static_cast<float>(sum.loss);
  control[kCorrect] += static_cast<float>(sum.correct);
  control[kValidRows] += static_cast<float>(valid);
  if (evaluates) control[kCorrectTop5] += static_cast<float>(sum.correct_top5);
  if (!std::isfinite(sum.loss)) control[kNonFinite] += 1;
}

}  // namespace

void add_up_losses_cuda(const RowResult* results, int rows, bool evaluates, const StepScalars* scalars, float* control,
                        Stream& stream) {
  launch(add_up_kernel, 1, std::min(block_threads(), kMostLossThreads), stream, results, rows, evaluates, scalars,
         control);
}

}  // namespace convoy
