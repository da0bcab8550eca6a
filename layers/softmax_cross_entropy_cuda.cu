// Forward: a block a row, then one block that adds up what the rows found, in order.
#include "layers/softmax_cross_entropy.h"

#include "core/device/target.h"
#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

constexpr int kMostThreads = 256;

// What a row adds to the control block.
struct RowResult {
  double loss, correct;
};
__device__ RowResult plus(RowResult a, RowResult b) { return {a.loss + b.loss, a.correct + b.correct}; }

struct Logit {
  float value;
  int at;
};
__device__ Logit larger(Logit a, Logit b) {  // the first, on ties
  return b.value > a.value || (b.value == a.value && b.at < a.at) ? b : a;
}

// All threads' x as one, in every thread, in a fixed order.  `scratch` [kMostThreads] is free again afterwards.
template <class T, class Merge>
__device__ T reduce(T x, T* scratch, Merge merge) {
  const int thread = static_cast<int>(threadIdx.x);
  scratch[thread] = x;
  __syncthreads();
  for (int left = static_cast<int>(blockDim.x); left > 1;) {
    const int half = (left + 1) / 2;
    if (thread + half < left) scratch[thread] = merge(scratch[thread], scratch[thread + half]);
    __syncthreads();
    left = half;
  }
  const T result = scratch[0];
  __syncthreads();
  return result;
}

template <class T>
struct Forward {
  const T* logits;
  const Target* targets;
  float* y;
  RowResult* results;
  const StepScalars* scalars;
  int classes;

  __device__ RowResult judge(int row, Logit largest, double sum) const {
    if (row >= scalars->valid_rows) return {};
    const Target target = targets[row];
    if (target.a < 0 || target.a >= classes || target.b < 0 || target.b >= classes) return {NAN, 0};
    const T* x = logits + int64_t{row} * classes;
    const double of_a = log(sum) + largest.value - to_float(x[target.a]);
    const double of_b = log(sum) + largest.value - to_float(x[target.b]);
    const double share = target.share;
    return {target.a == target.b ? of_a : share * of_a + (1 - share) * of_b, largest.at == target.a ? 1.0 : 0.0};
  }
};

template <class T>
__global__ void __launch_bounds__(kMostThreads) softmax_kernel(Forward<T> it) {
  __shared__ Logit logits[kMostThreads];
  __shared__ double sums[kMostThreads];
  const int row = static_cast<int>(blockIdx.x), first = static_cast<int>(threadIdx.x);
  const int step = static_cast<int>(blockDim.x);
  const T* x = it.logits + int64_t{row} * it.classes;
  float* y = it.y + int64_t{row} * it.classes;

  Logit largest{-INFINITY, it.classes};
  for (int k = first; k < it.classes; k += step) {
    const float value = to_float(x[k]);
    if (value > largest.value) largest = {value, k};
  }
  largest = reduce(largest, logits, larger);
  double sum = 0;  // in f64, so that a loss near 0 keeps its bits
  for (int k = first; k < it.classes; k += step) sum += expf(to_float(x[k]) - largest.value);
  sum = reduce(sum, sums, [](double a, double b) { return a + b; });
  const auto total = static_cast<float>(sum);
  for (int k = first; k < it.classes; k += step) y[k] = expf(to_float(x[k]) - largest.value) / total;
  if (first == 0) it.results[row] = it.judge(row, largest, sum);
}

__global__ void __launch_bounds__(kMostThreads)
    add_up_kernel(const RowResult* results, int rows, const StepScalars* scalars, float* control) {
  __shared__ RowResult scratch[kMostThreads];
  RowResult sum{};
  for (int row = static_cast<int>(threadIdx.x); row < rows; row += static_cast<int>(blockDim.x)) {
    sum = plus(sum, results[row]);
  }
  sum = reduce(sum, scratch, plus);
  if (threadIdx.x != 0) return;
  control[kLossSum] += static_cast<float>(sum.loss);
  control[kCorrect] += static_cast<float>(sum.correct);
  control[kValidRows] += static_cast<float>(std::min(scalars->valid_rows, rows));
  if (!std::isfinite(sum.loss)) control[kNonFinite] += 1;
}

template <class T>
struct Gradient {
  const float* y;
  const Target* targets;
  T* dx;
  const StepScalars* scalars;
  const LossScale* loss_scale;
  int classes;
  template <int N>
  __device__ void run(int64_t i) const {
    const auto row = static_cast<int>(i / classes), k = static_cast<int>(i % classes);
    const float scale = scalars->one_over_global_rows * loss_scale->scale;
    const bool counts = row < scalars->valid_rows;
    const Target target = targets[row];
    const Pack<float, N> p = load<N>(y + i);
    Pack<T, N> gradient;
    for (int j = 0; j < N; ++j) {
      const float wanted = (target.a == k + j ? target.share : 0.0F) + (target.b == k + j ? 1 - target.share : 0.0F);
      gradient.at[j] = from_float<T>(counts ? (p.at[j] - wanted) * scale : 0.0F);
    }
    store(dx + i, gradient);
  }
};

class SoftmaxCrossEntropyCuda : public CudaKernel {
 public:
  explicit SoftmaxCrossEntropyCuda(const CompileRequest& request) {
    const ValueType logits = activation_cuda(request.inputs[0]);
    inputs_ = {logits, {request.inputs[1].shape, Dtype::kI32}};
    output_ = {logits.shape, Dtype::kF32};
    workspace_bytes_ = logits.shape.n * static_cast<int64_t>(sizeof(RowResult));
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_input(int input) const override { return input == 1; }
  bool backward_reads_output() const override { return true; }

  void forward(Stream& stream) override {
    const int rows = output_.shape.n, classes = output_.shape.c, most = std::min(block_threads(), kMostThreads);
    const int threads = std::min((classes + kWarp - 1) / kWarp * kWarp, most);
    auto* const results = static_cast<RowResult*>(args_.workspace);
    with_elements_cuda(inputs_[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      const Forward<T> it{
          args_.x[0].as<T>(), args_.x[1].as<Target>(), args_.y.as<float>(), results, args_.scalars, classes};
      launch(softmax_kernel<T>, rows, threads, stream, it);
    });
    launch(add_up_kernel, 1, most, stream, results, rows, args_.scalars, args_.control);
  }

  void backward(int, Stream& stream) override {
    with_elements_cuda(inputs_[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      constexpr int kN = kPack<float>;
      const Gradient<T> op{args_.y.as<float>(), args_.x[1].as<Target>(), args_.dx[0].as<T>(),
                           args_.scalars,       args_.loss_scale,        output_.shape.c};
      for_each<kN>(op, output_.shape.elements(), op.classes % kN == 0 && aligned<kN>(op.y, op.dx), stream);
    });
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const SoftmaxCrossEntropy&, const CudaCompile& compile) {
  const Dtype found = compile.request.inputs[1].dtype;
  if (found != Dtype::kI32) {
    throw Error(ExitCode::kConfig, std::string("expected i32 targets, found ") + to_string(found));
  }
  return std::make_unique<SoftmaxCrossEntropyCuda>(compile.request);
}

}  // namespace convoy
