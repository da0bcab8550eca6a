// What a rank's training takes, planned before any of it is taken.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/graph/program.h"
#include "core/train/optimizer.h"
#include "launcher/backend.h"
#include "launcher/config/experiment.h"
#include "launcher/model_builder.h"
#include "launcher/replica.h"

namespace convoy {

// Bytes of one rank.  Left out is what does not grow with network and batch: the program, its libraries, the batches
// that wait to be used, and data that are cached.
struct MemoryNeeds {
  int64_t parameters = 0;   // and running statistics; with those of reduced precision that kernels read
  int64_t gradients = 0;    // with those that travel as bf16
  int64_t accumulated = 0;  // gradients of earlier micro-batches of a step
  int64_t optimizer = 0;    // its state
  int64_t scratch = 0;      // of the optimizer
  int64_t average = 0;      // of the weights, train.ema_decay
  int64_t activations = 0;  // of training and evaluation, with the scratch of their kernels
  int64_t teacher = 0;      // Inference::bytes() of the teacher, for each shape of images

  int64_t total() const {
    return parameters + gradients + accumulated + optimizer + scratch + average + activations + teacher;
  }
};

// "12.3 MiB"
std::string mib_text(int64_t bytes);
// "725 MiB of activations, 98 MiB of parameters, …": what is there, the largest first.
std::string to_text(const MemoryNeeds& needs);

// Addresses that nobody will touch: they cost no memory.
class AddressSpace : public Allocator {
 public:
  void* allocate(int64_t bytes) override;
  void deallocate(void* data, int64_t bytes) noexcept override;
};

// The training of a rank, compiled for such addresses.  All arguments must outlive it.
class Blueprint {
 public:
  Blueprint(const Experiment& experiment, const Model& model, Backend& backend, const ReplicaOptions& options);

  MemoryNeeds needs() const;
  const Parameters& parameters() const { return parameters_; }
  // Of the images whose activations need most.
  const Graph& trained() const { return *trained_; }
  const Program& training() const { return *training_; }
  const Program& evaluation() const { return evaluation_; }

 private:
  const TrainConfig& train_;
  int most_passes_ = 0;
  const bool travels_as_bf16_, feeds_back_;
  int64_t teacher_bytes_ = 0;
  AddressSpace memory_;
  Parameters parameters_;
  const Graph* trained_ = nullptr;
  std::unique_ptr<Program> training_;
  Program evaluation_;
  std::unique_ptr<Optimizer> optimizer_;
};

// train.recompute and train.memory_mib: sets options.recompute; with `auto`, where nothing else fits.
// Throws Error(kOutOfMemory) where that does not fit either; it says what needs how much.
void fit_into_memory(const Experiment& experiment, const Model& model, Backend& backend, ReplicaOptions& options);

}  // namespace convoy
