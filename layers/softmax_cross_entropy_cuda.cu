#include "layers/softmax_cross_entropy.h"

#include "layers/kernels_cuda.h"
#include "layers/loss_cuda.cuh"

namespace convoy {
namespace {

// Of the classes; null: all are 1.
struct ClassWeights {
  const float* weights;
  float* sums;  // of weight · t, by row
  __device__ float of(int k) const { return weights == nullptr ? 1.0F : weights[k]; }
  __device__ float sum(int row) const { return weights == nullptr ? 1.0F : sums[row]; }
};

template <class T>
__global__ void __launch_bounds__(kMostLossThreads) softmax_kernel(LossRows<T> it, ClassWeights weights) {
  __shared__ Logit logits[kMostLossThreads];
  __shared__ double sums[kMostLossThreads];
  const int row = static_cast<int>(blockIdx.x), first = static_cast<int>(threadIdx.x);
  const int step = static_cast<int>(blockDim.x);
  const T* x = it.logits + int64_t{row} * it.classes;
  float* y = it.y + int64_t{row} * it.classes;

  const Logit largest = it.largest(x, logits);
  // In f64, so that a loss near 0 keeps its bits.
  const double sum =
      sum_over_classes(it.classes, sums, [=](int k) { return double{expf(to_float(x[k]) - largest.value)}; });
  const auto total = static_cast<float>(sum);
  for (int k = first; k < it.classes; k += step) y[k] = expf(to_float(x[k]) - largest.value) / total;
  if (!it.counts(row)) return;

  double below = 0, all_weights = 0;  // Σ weight · (largest - x), Σ weight
  if (it.smoothing > 0) {
    below = sum_over_classes(it.classes, sums,
                             [=](int k) { return (double{largest.value} - to_float(x[k])) * weights.of(k); });
    all_weights = sum_over_classes(it.classes, sums, [=](int k) { return double{weights.of(k)}; });
  }
  it.write_result(row, largest.at, sums, [=] {
    const Target target = it.targets[row];
    const double log_sum = log(sum), share = target.share;
    const auto of = [=](int k) { return (log_sum + largest.value - to_float(x[k])) * weights.of(k); };
    const auto mixed = [=](double a, double b) { return target.a == target.b ? a : share * a + (1 - share) * b; };
    double loss = mixed(of(target.a), of(target.b));
    double weight = mixed(weights.of(target.a), weights.of(target.b));
    if (it.smoothing > 0) {
      const double spread = it.smoothing / it.classes;
      loss = (1 - it.smoothing) * loss + spread * (all_weights * log_sum + below);
      weight = (1 - it.smoothing) * weight + spread * all_weights;
    }
    if (weights.weights != nullptr) weights.sums[row] = static_cast<float>(weight);
    return loss;
  });
}

struct SoftmaxSlope {
  ClassWeights weights;
  __device__ float slope(int row, int k, float p, float wanted) const {
    return p * weights.sum(row) - weights.of(k) * wanted;
  }
};

class SoftmaxCrossEntropyCuda : public LossCuda {
 public:
  SoftmaxCrossEntropyCuda(const SoftmaxCrossEntropy& layer, const CompileRequest& request)
      : LossCuda(layer, request), weighted_(request.inputs.size() == 3 && !evaluates()) {
    if (weighted_) saved_ = {output_.shape.n * size_of(Dtype::kF32)};
  }

  void forward(Stream& stream) override {
    with_elements_cuda(inputs_[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      launch(softmax_kernel<T>, output_.shape.n, threads(), stream, rows<T>(), weights());
    });
    add_up(stream);
  }
  void backward(int, Stream& stream) override { write_gradient(SoftmaxSlope{weights()}, stream); }

 private:
  ClassWeights weights() const {
    if (!weighted_) return {};
    return {args_.x[2].as<float>(), static_cast<float*>(args_.saved[0])};
  }

  const bool weighted_;
};

// What the teacher says, and what follows from it.
struct Teaching {
  const float* logits;
  float* pulls;  // weight · T · (q - r), of each row and class
  double weight, temperature;
};

// log Σ exp(x / T)
template <class T>
__device__ double log_of_sum(const T* x, int classes, double temperature, const Logit& largest, double* scratch) {
  const double most = largest.value;
  const double sum =
      sum_over_classes(classes, scratch, [=](int k) { return exp((to_float(x[k]) - most) / temperature); });
  return most / temperature + log(sum);
}

// Behind softmax_kernel: mixes the loss of each row that counts with what the teacher says.
template <class T>
__global__ void __launch_bounds__(kMostLossThreads) distillation_kernel(LossRows<T> it, Teaching teacher) {
  __shared__ Logit logits[kMostLossThreads];
  __shared__ double sums[kMostLossThreads];
  const int row = static_cast<int>(blockIdx.x);
  if (!it.counts(row)) return;
  const int64_t first = int64_t{row} * it.classes;
  const T* x = it.logits + first;
  const float* wanted = teacher.logits + first;
  const double temperature = teacher.temperature;
  const double log_sum = log_of_sum(x, it.classes, temperature, it.largest(x, logits), sums);
  const double wanted_log_sum = log_of_sum(wanted, it.classes, temperature, it.largest(wanted, logits), sums);
  const double divergence = sum_over_classes(it.classes, sums, [=](int k) {
    const double log_q = to_float(x[k]) / temperature - log_sum, log_r = wanted[k] / temperature - wanted_log_sum;
    const double r = exp(log_r);
    teacher.pulls[first + k] = static_cast<float>(teacher.weight * temperature * (exp(log_q) - r));
    return r * (log_r - log_q);
  });
  if (threadIdx.x != 0) return;
  double& loss = it.results[row].loss;
  loss = (1 - teacher.weight) * loss + teacher.weight * temperature * temperature * divergence;
}

struct DistillationSlope {
  const float* pulls;
  int classes;
  float rest;
  __device__ float slope(int row, int k, float p, float wanted) const {
    return rest * (p - wanted) + pulls[int64_t{row} * classes + k];
  }
};

class DistillationCuda : public LossCuda {
 public:
  DistillationCuda(const Distillation& layer, const CompileRequest& request)
      : LossCuda(layer, request), weight_(layer.weight()), temperature_(layer.temperature()) {
    if (!evaluates()) saved_ = {output_.shape.elements() * size_of(Dtype::kF32)};
  }

  void forward(Stream& stream) override {
    with_elements_cuda(inputs_[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      launch(softmax_kernel<T>, output_.shape.n, threads(), stream, rows<T>(), ClassWeights{});
      if (evaluates()) return;
      const Teaching teacher{args_.x[2].as<float>(), pulls(), weight_, temperature_};
      launch(distillation_kernel<T>, output_.shape.n, threads(), stream, rows<T>(), teacher);
    });
    add_up(stream);
  }
  void backward(int, Stream& stream) override {
    write_gradient(DistillationSlope{pulls(), output_.shape.c, static_cast<float>(1 - weight_)}, stream);
  }

 private:
  float* pulls() const { return static_cast<float*>(args_.saved[0]); }

  const double weight_, temperature_;
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Distillation& layer, const CudaCompile& compile) {
  return std::make_unique<DistillationCuda>(layer, compile.request);
}

std::unique_ptr<Kernel> make_cuda_kernel(const SoftmaxCrossEntropy& layer, const CudaCompile& compile) {
  return std::make_unique<SoftmaxCrossEntropyCuda>(layer, compile.request);
}

}  // namespace convoy
