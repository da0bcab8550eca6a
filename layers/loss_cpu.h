// What the losses do alike on the CPU.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/device/target.h"
#include "layers/kernel_cpu.h"
#include "layers/loss.h"

namespace convoy {

class LossCpu : public CpuKernel {
 public:
  LossCpu(const Loss& layer, const CompileRequest& request)
      : evaluates_(request.mode == Mode::kEval), smoothing_(evaluates_ ? 0 : layer.label_smoothing()) {
    expect_activation(request.inputs[0]);
    expect_targets(request);
    const ValueType& logits = request.inputs[0];
    inputs_ = request.inputs;
    for (ValueType& input : inputs_) input = {input.shape, input.dtype};
    output_ = {logits.shape, Dtype::kF32};
    if (!evaluates_ && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_input(int input) const override { return input > 0; }
  bool backward_reads_output() const override { return true; }

  void forward(Stream&) override {
    const int valid = std::min(args_.scalars->valid_rows, output_.shape.n);
    double loss = 0;
    int correct = 0, correct_top5 = 0;
    for (int row = 0; row < output_.shape.n; ++row) {
      say(row);
      if (row >= valid) continue;
      const Target target = args_.x[1].as<Target>()[row];
      const bool exists = std::min(target.a, target.b) >= 0 && std::max(target.a, target.b) < classes();
      const int64_t best = exists ? best_of(row) : -1;
      loss += exists ? loss_of(row, target, best) : std::numeric_limits<double>::quiet_NaN();
      correct += best == target.a && exists ? 1 : 0;
      correct_top5 += evaluates_ && exists && rank_of(row, target.a) < kTop5 ? 1 : 0;
    }
    args_.control[kLossSum] += static_cast<float>(loss);
    args_.control[kCorrect] += static_cast<float>(correct);
    args_.control[kValidRows] += static_cast<float>(valid);
    if (evaluates_) args_.control[kCorrectTop5] += static_cast<float>(correct_top5);
    if (!std::isfinite(loss)) args_.control[kNonFinite] += 1;
  }

 protected:
  virtual void say(int row) = 0;                                                  // writes the output of a row
  virtual double loss_of(int row, const Target& target, int64_t best) const = 0;  // `best`: the largest logit's class

  int64_t classes() const { return output_.shape.c; }
  double smoothing() const { return smoothing_; }
  template <class T>
  const T* logits(int64_t row) const {
    return args_.x[0].as<T>() + row * classes();
  }
  float* outputs(int64_t row) const { return args_.y.as<float>() + row * classes(); }

  // dx[k] of each valid row = gradient(row, k, t[k]), else 0.
  template <class Gradient>
  void write_gradient(const Gradient& gradient) const {
    with_elements(inputs_[0].dtype, [&](auto zero) {
      auto* const dx = args_.dx[0].as<decltype(zero)>();
      const auto kept = static_cast<float>(1 - smoothing_);
      const auto spread = static_cast<float>(smoothing_ / static_cast<double>(classes()));
      for (int64_t row = 0; row < output_.shape.n; ++row) {
        const Target target = args_.x[1].as<Target>()[row];
        const bool counts = row < args_.scalars->valid_rows;
        for (int64_t k = 0; k < classes(); ++k) {
          const float wanted = (target.a == k ? target.share : 0.0F) + (target.b == k ? 1 - target.share : 0.0F);
          store(dx + row * classes() + k, counts ? gradient(row, k, kept * wanted + spread) : 0.0F);
        }
      }
    });
  }

 private:
  int64_t best_of(int row) const {
    int64_t best = 0;
    with_elements(inputs_[0].dtype, [&](auto zero) {
      const auto* x = logits<decltype(zero)>(row);
      float largest = load(x);
      for (int64_t k = 1; k < classes(); ++k) {
        const float value = load(x + k);
        best = value > largest ? k : best;
        largest = value > largest ? value : largest;
      }
    });
    return best;
  }

  // How many classes are not behind `of`.
  int64_t rank_of(int row, int64_t of) const {
    int64_t rank = 0;
    with_elements(inputs_[0].dtype, [&](auto zero) {
      const auto* x = logits<decltype(zero)>(row);
      for (int64_t k = 0; k < classes(); ++k) {
        const bool behind = load(x + of) > load(x + k) || (load(x + of) == load(x + k) && of <= k);
        rank += behind ? 0 : 1;  // nothing is behind a NaN
      }
    });
    return rank;
  }

  const bool evaluates_;
  const double smoothing_;
};

}  // namespace convoy
