// The flat list of steps that a pass consists of.  What you print is what runs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/device/device.h"

namespace convoy {

constexpr int kNoBucket = -1;

struct Step {
  std::string name;    // "conv1 forward"
  std::string detail;  // output type and engine: "32x26x26x32 f32 nhwc brgconv:avx512_core"
  std::function<void()> run;
  int64_t flops = 0;
  int64_t bytes = 0;            // read and written, counted once each
  std::vector<Tensor> outputs;  // what it writes, for checked runs
  // Elements of the gradient buffer that are final once it ran: [gradient_begin, gradient_end).
  int64_t gradient_begin = 0, gradient_end = 0;
  Tensor gathered;            // ranks exchange their parts of it before the next step; no data: nothing
  bool communicates = false;  // runs on the communicator's stream
  bool waits = false;         // for what communicates
  int bucket = kNoBucket;     // of the gradients, that it sums over ranks or waits for
  bool capturable = true;     // false: the host takes part in it (a reduction through the host)
};

class Plan {
 public:
  void append(Step step) { steps_.push_back(std::move(step)); }
  void insert(size_t index, Step step) { steps_.insert(steps_.begin() + static_cast<int64_t>(index), std::move(step)); }
  const std::vector<Step>& steps() const { return steps_; }

  // Called after every step; dist moves its queue on here.
  void set_between_steps(std::function<void()> hook) { between_steps_ = std::move(hook); }

  void between_steps() const {
    if (between_steps_) between_steps_();
  }

  void run() const;
  // As run(), but after each step looks for NaN and infinity in its outputs, which lie on `device`; returns the name of
  // the first step that has one, or "".
  std::string run_checked(Device& device) const;

  // One line a step: index, name, output, MFLOP, MiB, engine.
  std::string table() const;

 private:
  std::vector<Step> steps_;
  std::function<void()> between_steps_;
};

}  // namespace convoy
