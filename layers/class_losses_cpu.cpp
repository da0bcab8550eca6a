#include "layers/class_losses.h"

#include "layers/activation_functions.h"
#include "layers/loss_cpu.h"

namespace convoy {
namespace {

struct Logistic {
  static float output(float x) { return elementwise::sigmoid(x); }
  static double loss(float x, double wanted) {
    return std::max(x, 0.0F) - x * wanted + std::log1p(std::exp(-std::abs(x)));
  }
  static float slope(float y, float wanted) { return y - wanted; }
};

struct Square {
  static float output(float x) { return x; }
  static double loss(float x, double wanted) { return (x - wanted) * (x - wanted); }
  static float slope(float y, float wanted) { return 2 * (y - wanted); }
};

template <class Function>
class ClassLossCpu : public LossCpu {
 public:
  using LossCpu::LossCpu;

  void backward(int, Stream&) override {
    const float scale =
        args_.scalars->one_over_global_rows * args_.loss_scale->scale / static_cast<float>(output_.shape.c);
    write_gradient(
        [&](int64_t row, int64_t k, float wanted) { return Function::slope(outputs(row)[k], wanted) * scale; });
  }

 private:
  void say(int row) override {
    with_elements(inputs_[0].dtype, [&](auto zero) {
      const auto* x = logits<decltype(zero)>(row);
      for (int64_t k = 0; k < classes(); ++k) outputs(row)[k] = Function::output(load(x + k));
    });
  }

  double loss_of(int row, const Target& target, int64_t) const override {
    double loss = 0;
    const double share = target.share, spread = smoothing() / static_cast<double>(classes());
    with_elements(inputs_[0].dtype, [&](auto zero) {
      const auto* x = logits<decltype(zero)>(row);
      for (int64_t k = 0; k < classes(); ++k) {
        const double wanted = (target.a == k ? share : 0) + (target.b == k ? 1 - share : 0);
        loss += Function::loss(load(x + k), (1 - smoothing()) * wanted + spread);
      }
    });
    return loss / static_cast<double>(classes());
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const BinaryCrossEntropy& layer, const CompileRequest& request) {
  return std::make_unique<ClassLossCpu<Logistic>>(layer, request);
}

std::unique_ptr<Kernel> make_cpu_kernel(const MeanSquaredError& layer, const CompileRequest& request) {
  return std::make_unique<ClassLossCpu<Square>>(layer, request);
}

}  // namespace convoy
