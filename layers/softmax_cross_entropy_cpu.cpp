#include "layers/softmax_cross_entropy.h"

#include "layers/loss_cpu.h"

namespace convoy {
namespace {

class SoftmaxCrossEntropyCpu : public LossCpu {
 public:
  SoftmaxCrossEntropyCpu(const SoftmaxCrossEntropy& layer, const CompileRequest& request)
      : SoftmaxCrossEntropyCpu(layer, request, request.inputs.size() == 3 && request.mode == Mode::kTrain) {
    if (weighted_) saved_ = {output_.shape.n * size_of(Dtype::kF32)};
  }

  void backward(int, Stream&) override {
    const float scale = args_.scalars->one_over_global_rows * args_.loss_scale->scale;
    if (!weighted_) {
      return write_gradient([&](int64_t row, int64_t k, float wanted) { return (outputs(row)[k] - wanted) * scale; });
    }
    write_gradient([&](int64_t row, int64_t k, float wanted) {
      return (outputs(row)[k] * sums()[row] - weight(k) * wanted) * scale;
    });
  }

 protected:
  SoftmaxCrossEntropyCpu(const Loss& layer, const CompileRequest& request, bool weighted)
      : LossCpu(layer, request), weighted_(weighted) {}

  double loss_of(int row, const Target& target, int64_t best) const override {
    double loss = 0;
    with_elements(inputs_[0].dtype, [&](auto zero) {
      // From the logits: a probability may have underflowed to 0, and distinct logits to equal probabilities.
      const auto* x = logits<decltype(zero)>(row);
      double sum = 0;
      for (int64_t k = 0; k < classes(); ++k) sum += std::exp(load(x + k) - load(x + best));
      const double log_sum = std::log(sum), share = target.share;
      const auto of = [&](int64_t k) { return (log_sum + load(x + best) - load(x + k)) * weight(k); };
      const auto mixed = [&](double a, double b) { return target.a == target.b ? a : share * a + (1 - share) * b; };
      loss = mixed(of(target.a), of(target.b));
      double weights = mixed(weight(target.a), weight(target.b));
      if (smoothing() > 0) {
        double all = 0, all_weights = 0;
        for (int64_t k = 0; k < classes(); ++k) all += of(k);
        for (int64_t k = 0; k < classes(); ++k) all_weights += weight(k);
        const double spread = smoothing() / static_cast<double>(classes());
        loss = (1 - smoothing()) * loss + spread * all;
        weights = (1 - smoothing()) * weights + spread * all_weights;
      }
      if (weighted_) sums()[row] = static_cast<float>(weights);
    });
    return loss;
  }

 private:
  float weight(int64_t k) const { return weighted_ ? args_.x[2].as<float>()[k] : 1.0F; }
  float* sums() const { return static_cast<float*>(args_.saved[0]); }  // of weight · t, by row

  void say(int row) override {
    with_elements(inputs_[0].dtype, [&](auto zero) {
      const auto* x = logits<decltype(zero)>(row);
      float* p = outputs(row);
      float largest = load(x);
      for (int64_t k = 1; k < classes(); ++k) largest = std::max(largest, load(x + k));
      float sum = 0;
      for (int64_t k = 0; k < classes(); ++k) sum += p[k] = std::exp(load(x + k) - largest);
      for (int64_t k = 0; k < classes(); ++k) p[k] /= sum;
    });
  }

  const bool weighted_;
};

class DistillationCpu : public SoftmaxCrossEntropyCpu {
 public:
  DistillationCpu(const Distillation& layer, const CompileRequest& request)
      : SoftmaxCrossEntropyCpu(layer, request, false),
        trains_(request.mode == Mode::kTrain),
        weight_(layer.weight()),
        temperature_(layer.temperature()) {
    if (trains_) saved_ = {output_.shape.elements() * size_of(Dtype::kF32)};
  }

  void backward(int, Stream&) override {
    const float scale = args_.scalars->one_over_global_rows * args_.loss_scale->scale;
    const auto rest = static_cast<float>(1 - weight_);
    write_gradient([&](int64_t row, int64_t k, float wanted) {
      return (rest * (outputs(row)[k] - wanted) + pulls(row)[k]) * scale;
    });
  }

 private:
  float* pulls(int64_t row) const { return static_cast<float*>(args_.saved[0]) + row * classes(); }

  double loss_of(int row, const Target& target, int64_t best) const override {
    const double of_labels = SoftmaxCrossEntropyCpu::loss_of(row, target, best);
    return trains_ ? (1 - weight_) * of_labels + weight_ * of_teacher(row) : of_labels;
  }

  // T² Σ r log(r / q); notes its gradient, times the weight.
  double of_teacher(int row) const {
    double divergence = 0;
    with_elements(inputs_[0].dtype, [&](auto zero) {
      const auto* x = logits<decltype(zero)>(row);
      const float* wanted = args_.x[2].as<float>() + row * classes();
      const double log_sum = log_of_sum(x), wanted_log_sum = log_of_sum(wanted);
      for (int64_t k = 0; k < classes(); ++k) {
        const double log_q = load(x + k) / temperature_ - log_sum;
        const double log_r = wanted[k] / temperature_ - wanted_log_sum, r = std::exp(log_r);
        divergence += r * (log_r - log_q);
        pulls(row)[k] = static_cast<float>(weight_ * temperature_ * (std::exp(log_q) - r));
      }
    });
    return temperature_ * temperature_ * divergence;
  }

  // log Σ exp(x / T)
  template <class T>
  double log_of_sum(const T* x) const {
    double largest = load(x), sum = 0;
    for (int64_t k = 1; k < classes(); ++k) largest = std::max<double>(largest, load(x + k));
    for (int64_t k = 0; k < classes(); ++k) sum += std::exp((load(x + k) - largest) / temperature_);
    return largest / temperature_ + std::log(sum);
  }

  const bool trains_;
  const double weight_, temperature_;
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Distillation& layer, const CompileRequest& request) {
  return std::make_unique<DistillationCpu>(layer, request);
}

std::unique_ptr<Kernel> make_cpu_kernel(const SoftmaxCrossEntropy& layer, const CompileRequest& request) {
  return std::make_unique<SoftmaxCrossEntropyCpu>(layer, request);
}

}  // namespace convoy
