// A network that answers and no longer learns: batch norm folded, layers merged, no gradients, no second copy of
// anything but what kernels keep of weights in layouts of their own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/graph/plan_runner.h"
#include "core/graph/program.h"
#include "launcher/backend.h"
#include "launcher/exchange/network.h"

namespace convoy {

struct InferenceOptions {
  int rows = 1;  // images of a batch; fewer may come
  bool pixels =
      true;  // run() takes u8 pixels, and the network's preprocessing applies; else f32 as the first layer wants
  bool fold = true;  // batch norm into the layers before
};

// All work is done on the backend's device.  One thread calls it.
class Inference {
 public:
  // The backend must outlive it.  With `pixels`, computes in the backend's precision, else in f32.
  // Throws Error(kUsage) where pixels are to come and the network does not say how they become its input,
  // Error(kConfig) for what the device cannot run.
  Inference(const Network& network, Backend& backend, const InferenceOptions& options);

  int rows() const { return input_.type.shape.n; }
  int classes() const { return classes_; }
  // Of one image.
  const Shape& sample() const { return sample_; }

  // Logits [n,classes] of n <= rows() images, valid until the next call: of RGB (or grey) pixels [n,H,W,C], or of what
  // the first layer reads.
  std::span<const float> run(std::span<const uint8_t> pixels);
  std::span<const float> run(std::span<const float> values);

  // For those who run the plan themselves: from input() [rows,…], in the device's memory, to logits() [rows,…], in the
  // precision that it computes in.
  const Plan& plan() const { return plan_; }
  const Tensor& input() const { return input_; }
  const Tensor& logits() const { return logits_; }
  int64_t bytes() const;  // of device memory: weights, activations and input

 private:
  using Weights = std::map<std::string, std::vector<float>>;
  // `weights` of the network, then those of the model made of it.
  Inference(const Network& network, Weights weights, Backend& backend, const InferenceOptions& options);
  Inference(const Network& network, const Model& model, const Weights& weights, Backend& backend,
            const InferenceOptions& options);
  void load(const Weights& weights);
  std::span<const float> run_staged(int64_t images);

  Backend& backend_;
  Device& device_;
  const Shape sample_;
  const int classes_;
  Parameters parameters_;
  std::optional<Program> program_;  // made when the weights are there
  Buffer arena_, scalars_, input_memory_, logits_memory_;
  Buffer staging_, results_;  // of the host
  Tensor input_, logits_;
  Plan plan_;
  std::unique_ptr<PlanRunner> runner_;
};

// exp(logits) / sum of these, of one row; finite for any finite logits.
void softmax(std::span<const float> logits, std::vector<double>& probabilities);

}  // namespace convoy
