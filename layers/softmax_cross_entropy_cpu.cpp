#include "layers/softmax_cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/device/target.h"
#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

class SoftmaxCrossEntropyCpu : public CpuKernel {
 public:
  explicit SoftmaxCrossEntropyCpu(const CompileRequest& request) {
    const ValueType& logits = request.inputs[0];
    inputs_ = {{logits.shape, logits.dtype}, {request.inputs[1].shape, Dtype::kI32}};
    output_ = {logits.shape, Dtype::kF32};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_input(int input) const override { return input == 1; }
  bool backward_reads_output() const override { return true; }

  void forward(Stream&) override {
    const int valid = std::min(args_.scalars->valid_rows, output_.shape.n);
    double loss = 0;
    int correct = 0;
    for (int row = 0; row < output_.shape.n; ++row) {
      with_elements(inputs_[0].dtype, [&](auto zero) { softmax(args_.x[0].as<decltype(zero)>(), row); });
      if (row >= valid) continue;
      const RowResult result = judge(row);
      loss += result.loss;
      correct += result.correct ? 1 : 0;
    }
    args_.control[kLossSum] += static_cast<float>(loss);
    args_.control[kCorrect] += static_cast<float>(correct);
    args_.control[kValidRows] += static_cast<float>(valid);
    if (!std::isfinite(loss)) args_.control[kNonFinite] += 1;
  }

  void backward(int, Stream&) override {
    with_elements(inputs_[0].dtype, [&](auto zero) { gradient(args_.dx[0].as<decltype(zero)>()); });
  }

 private:
  struct RowResult {
    double loss;
    bool correct;
  };

  int64_t classes() const { return output_.shape.c; }

  template <class T>
  void softmax(const T* logits, int row) const {
    const T* x = logits + row * classes();
    float* p = args_.y.as<float>() + row * classes();
    float largest = load(x);
    for (int64_t k = 1; k < classes(); ++k) largest = std::max(largest, load(x + k));
    float sum = 0;
    for (int64_t k = 0; k < classes(); ++k) sum += p[k] = std::exp(load(x + k) - largest);
    for (int64_t k = 0; k < classes(); ++k) p[k] /= sum;
  }

  RowResult judge(int row) const {
    const Target target = args_.x[1].as<Target>()[row];
    const auto exists = [this](int label) { return label >= 0 && label < classes(); };
    if (!exists(target.a) || !exists(target.b)) return {std::numeric_limits<double>::quiet_NaN(), false};
    double loss = 0;
    int64_t best = 0;
    with_elements(inputs_[0].dtype, [&](auto zero) {
      // From the logits: a probability may have underflowed to 0, and distinct logits to equal probabilities.
      const auto* x = args_.x[0].as<decltype(zero)>() + row * classes();
      for (int64_t k = 1; k < classes(); ++k) best = load(x + k) > load(x + best) ? k : best;
      double sum = 0;
      for (int64_t k = 0; k < classes(); ++k) sum += std::exp(load(x + k) - load(x + best));
      const double of_a = std::log(sum) + load(x + best) - load(x + target.a);
      const double of_b = std::log(sum) + load(x + best) - load(x + target.b);
      const double share = target.share;
      loss = target.a == target.b ? of_a : share * of_a + (1 - share) * of_b;
    });
    return {loss, best == target.a};
  }

  template <class T>
  void gradient(T* dx) const {
    const StepScalars& scalars = *args_.scalars;
    const float scale = scalars.one_over_global_rows * args_.loss_scale->scale;
    const float* p = args_.y.as<float>();
    const Target* targets = args_.x[1].as<Target>();
    for (int64_t row = 0; row < output_.shape.n; ++row) {
      const Target target = targets[row];
      for (int64_t k = 0; k < classes(); ++k) {
        const int64_t i = row * classes() + k;
        const float wanted = (target.a == k ? target.share : 0.0F) + (target.b == k ? 1 - target.share : 0.0F);
        store(dx + i, row < scalars.valid_rows ? (p[i] - wanted) * scale : 0.0F);
      }
    }
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const SoftmaxCrossEntropy&, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  if (request.inputs[1].dtype != Dtype::kI32) {
    throw Error(ExitCode::kConfig, std::string("expected i32 targets, found ") + to_string(request.inputs[1].dtype));
  }
  return std::make_unique<SoftmaxCrossEntropyCpu>(request);
}

}  // namespace convoy
