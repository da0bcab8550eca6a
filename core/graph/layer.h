// What a layer is (Layer), and what runs it on a device (Kernel).
//
// A Layer knows shapes, parameters and options, and nothing of devices.  A KernelFactory (one per device) turns a
// layer and the types of its inputs into a Kernel for exactly those types.  A Kernel is compiled, bound to final
// addresses and run, in that order; running takes no arguments and cannot fail on user input.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/device/types.h"

namespace convoy {

// ---- Per step, in device memory

// Written by the trainer before each micro-batch; kernels and the optimizer read it when they run.
struct StepScalars {
  float learning_rate = 0;
  float one_over_global_rows = 1;  // what the loss divides its gradient by: valid rows of the global batch
  int32_t valid_rows = 0;          // rows of this micro-batch that count; the others have zero loss and gradient
  int64_t step = 0;
  int64_t first_row = 0;  // index of row 0 of this micro-batch in the global batch
  uint64_t seed = 0;
  float one_over_micro_batches = 1;  // 1 / micro-batches of the global batch: the mean of batch-norm statistics
  float requests[3] = {};            // of this rank, added to control[kStopRequested …] at the start of a step
};

// What the loss multiplies its gradient by so that small gradients survive in f16, and the optimizer divides by again.
// In device memory and moved on by the device, so that no step waits for the host to look.
struct LossScale {
  float scale = 1;
  float good_steps = 0;  // since it last changed
};

// Numbers that every rank adds up in every step: a block of f32 behind the gradients, reduced with them.
enum Control : int {
  kLossSum,
  kCorrect,
  kValidRows,
  kNonFinite,      // losses that are not finite
  kStopRequested,  // save and stop
  kSaveRequested,  // save and go on
  kInterrupted,    // stop, because a person at the keyboard asked
  kOverflow,       // gradients that are not finite
  kGradientNorm,   // of the sum over all ranks, before clipping; written behind the sum by an optimizer that clips
  kCorrectTop5,    // rows whose class is among the five largest logits; counted in evaluation only
  kControlSize = 16
};

// ---- Layer

// How a parameter starts: all equal to `scale`, uniform in [-scale, scale], normal with that standard deviation, the
// same without what lies beyond twice as much, or, as a matrix of shape n × hwc, `scale` times orthonormal rows or
// columns, whichever there are fewer of.
struct Initializer {
  enum class Kind : uint8_t { kConstant, kUniform, kNormal, kTruncatedNormal, kOrthogonal } kind = Kind::kConstant;
  float scale = 0;
};

struct ParameterSpec {
  std::string name;  // "weight", "bias"
  Shape shape;       // weights O,H,W,I; vectors 1,1,1,C
  Initializer initializer;
};

// A running statistic: state = (1 - momentum) * state + momentum * (mean of what the micro-batches added).
struct StateSpec {
  std::string name;  // "running_mean", "running_variance"
  Shape shape;
  float initial = 0;
  float momentum = 0.1F;
};

class Layer {
 public:
  virtual ~Layer() = default;
  virtual std::string type() const = 0;  // "conv2d"; the key of the kernel tables and of YAML
  // The output shape.  Throws Error(kConfig), without a location, on impossible inputs.
  virtual Shape shape(std::span<const Shape> inputs) const = 0;
  virtual std::vector<ParameterSpec> parameters(std::span<const Shape>) const { return {}; }
  virtual std::vector<StateSpec> state(std::span<const Shape>) const { return {}; }
  virtual int64_t forward_flops(std::span<const Shape>) const { return 0; }  // 2 per multiply-add; 0 if bound by memory
  virtual bool is_loss() const { return false; }  // the backward pass starts here, without dy
};

// ---- Kernel

enum class Mode : uint8_t { kTrain, kEval };

struct CompileRequest {
  std::vector<ValueType> inputs;  // as their producers left them
  std::vector<bool> wants_dx;     // by input
  bool wants_dw = false;          // false for frozen layers
  Mode mode = Mode::kTrain;
  Dtype compute = Dtype::kF32;  // of activations; only layers that change the dtype (normalize) look at it
  // kEval: parameters have their values before bind(), and keep them.  A kernel may then hold them in another layout.
  bool constant_parameters = false;
  std::vector<bool> last_reader{};  // kEval, by input: nobody reads its memory after this step; empty: none is so
  int ranks = 1;                    // kTrain: that share the statistics of a batch

  bool may_overwrite(size_t input) const { return input < last_reader.size() && last_reader[input]; }
};

// Final addresses.  Tensors that a kernel did not ask for have no data.
struct KernelArgs {
  std::vector<Tensor> x;
  Tensor y;
  Tensor dy;
  std::vector<Tensor> dx;
  std::vector<Tensor> w, dw;   // by parameter; f32, canonical
  std::vector<Tensor> shadow;  // by parameter; w in the compute dtype, where Parameters keeps it, else no data
  std::vector<Tensor> state, batch_state;  // by state; a training forward *adds* its batch's statistics to batch_state
  std::array<Tensor, 2> gathered;          // see Kernel::gathers(); f32
  std::vector<void*> saved;
  void* workspace = nullptr;
  const StepScalars* scalars = nullptr;
  const LossScale* loss_scale = nullptr;
  float* control = nullptr;  // [kControlSize]; losses *add* to it
};

// One step of a backward pass: which gradients it writes.
struct BackwardPart {
  std::string name;     // "backward", "backward_data", "backward_weights"
  std::vector<int> dx;  // inputs whose gradient it writes
  bool dw = false;      // whether it writes the gradients of the parameters
};

// Contract: every step fully overwrites its outputs (y, the dx and dw of its part); it never reads them before, except
// where y is an input that it overwrites.
// Padding channels of a blocked output are written as zeros.  Nothing else is written but saved and workspace.
class Kernel {
 public:
  virtual ~Kernel() = default;

  // Fixed after construction.
  virtual std::vector<ValueType> inputs() const = 0;  // where one differs from the offer, the program converts it
  virtual ValueType output() const = 0;
  virtual std::vector<int64_t> saved() const { return {}; }                // bytes of what forward keeps for backward
  virtual int64_t workspace_bytes() const { return 0; }                    // scratch; holds nothing between steps
  virtual std::vector<BackwardPart> backward_parts() const { return {}; }  // in the order in which they run
  virtual bool backward_reads_input(int) const { return false; }
  virtual bool backward_reads_output() const { return false; }
  virtual bool output_is_input() const { return false; }  // y is x[0] under another shape, and dx[0] is dy; no steps
  virtual bool dx_is_dy(int) const { return false; }      // the gradient of this input is dy itself; no step
  virtual int overwrites() const { return -1; }           // y lies where this input does, which it may_overwrite()
  // What ranks that share the statistics of a batch tell each other, in f32 elements of all ranks together: between
  // statistics() and forward(), and behind the first part of backward.  The step in front of it fills every rank's part
  // with its own numbers; where nobody gathers, the other ranks are as this one.
  virtual std::array<int64_t, 2> gathers() const { return {}; }
  virtual std::string engine() const { return ""; }  // what runs it, for the plan table: "brgconv:avx512_core"

  virtual void bind(const KernelArgs& args) = 0;
  virtual void statistics(Stream& /*stream*/) {}  // only where forward needs what is gathered
  virtual void forward(Stream& stream) = 0;
  virtual void backward(int /*part*/, Stream& /*stream*/) {}
};

// All kernels of one device.
class KernelFactory {
 public:
  virtual ~KernelFactory() = default;
  // Throws Error(kConfig) when the device cannot run this layer on these types.
  virtual std::unique_ptr<Kernel> make(const Layer& layer, const CompileRequest& request) const = 0;
  // Copies between dtypes and layouts of one shape; backward (if wanted) copies back.
  virtual std::unique_ptr<Kernel> make_conversion(const ValueType& from, const ValueType& to, bool wants_dx) const = 0;
  // y = x[0] + … + x[terms - 1]: gradients that meet where a value has several readers.
  virtual std::unique_ptr<Kernel> make_sum(const ValueType& type, int terms) const = 0;
};

}  // namespace convoy
