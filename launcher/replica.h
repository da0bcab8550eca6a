// One rank's copy of the network, ready to run: parameters, programs, one arena, the plans of a step.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/graph/program.h"
#include "core/train/flat_ops.h"
#include "dist/data_parallel.h"
#include "launcher/model_builder.h"

namespace convoy {

struct ReplicaOptions {
  Dtype compute = Dtype::kF32;
  int passes = 1;  // micro-batches that this rank runs per step; more than one needs memory to accumulate in
  BucketPolicy buckets;
};

class Replica {
 public:
  // The arguments must outlive it.  Parameters start uninitialised (zero).
  Replica(Model model, Device& device, Communicator& communicator, const KernelFactory& kernels, FlatOps& ops,
          const ReplicaOptions& options);

  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }
  const Graph& graph() const { return model_.graph; }
  StepScalars& scalars() { return *scalars_.as<StepScalars>(); }
  const float* control() const { return parameters_.control(); }

  int rows() const { return model_.graph.inputs().front().type.shape.n; }  // of a micro-batch
  // Copies one micro-batch into the input slots: pixels [N,H,W,C], labels [N].
  void load(std::span<const uint8_t> pixels, std::span<const int32_t> labels);

  const Plan& pass(PassPosition position) const { return passes_[position.first ? 1 : 0][position.last ? 1 : 0]; }
  // Forward and backward of the loaded micro-batch; returns the seconds that its end waited for communication.
  double run(PassPosition position);
  const std::vector<double>& last_seconds() const { return seconds_; }  // of the steps of the last run()
  const Plan& evaluation() const { return evaluation_; }                // forward only; adds to the control block
  void clear_control();

  const MemoryPlan& training_memory() const { return training_program_.memory(); }
  const MemoryPlan& evaluation_memory() const { return evaluation_program_.memory(); }

 private:
  Model model_;
  Device& device_;
  FlatOps& ops_;
  Parameters parameters_;
  Buffer scalars_, pixels_, labels_;
  Program training_program_, evaluation_program_;
  Buffer arena_;
  Plan passes_[2][2];  // [first][last]
  Plan evaluation_;
  std::vector<double> seconds_;  // by step
};

}  // namespace convoy
