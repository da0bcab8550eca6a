// A network with its optimizer and one micro-batch, step by step, on any device; for tests.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "launcher/setup.h"

namespace convoy {

class Stepper {
 public:
  // Puts another communicator in the place of the backend's.
  using Change = std::function<void(Backend&, Communicator& host)>;

  // One rank, the batch is one micro-batch of the first training samples.
  explicit Stepper(const Experiment& experiment, const Change& change = {}, const LossScaleOptions& loss_scale = {});

  void give_step();      // to the device
  double step();         // and waits; its loss
  bool skipped() const;  // whether the last step() saw gradients that overflowed

  // By parameter, as the work given so far leaves them.
  std::vector<std::vector<float>> values() { return fetch(&Parameters::value); }
  std::vector<std::vector<float>> gradients() { return fetch(&Parameters::gradient); }
  float loss_scale();

  Backend& backend() { return backend_; }
  const Replica& replica() const { return *replica_; }

 private:
  std::vector<std::vector<float>> fetch(Tensor (Parameters::*tensor)(const ParameterSlot&) const);
  void download(void* to, const void* from, int64_t bytes);

  std::unique_ptr<Communicator> host_ = make_solo_communicator();
  Backend backend_;
  BadSamples bad_samples_{Log(LogLevel::kWarning), 0};
  std::unique_ptr<Dataset> data_;
  std::optional<Replica> replica_;
  std::unique_ptr<Optimizer> optimizer_;
  Buffer pixels_, targets_;
  std::vector<float> control_;
};

}  // namespace convoy
