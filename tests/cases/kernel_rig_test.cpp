// The rig sees what kernels must not do: a correct kernel, and the same with one fault each.
#include <gtest/gtest.h>

#include <algorithm>

#include "layers/relu.h"
#include "tests/cases/kernel_rig.h"

namespace convoy {
namespace {

enum class Fault {
  kNone,
  kLeavesOutElement,  // of y
  kWritesBehindOutput,
  kWritesBeforeSaved,
  kChangesInput,
  kDirtyPadding,
  kReadsInputInBackward,  // without saying so
  kKeepsWorkspace,        // from one step to the next
  kSameGradientTwice,     // two parts write dx
  kForgetsGradient,
};

// y = x, dx = dy, in nChw8c; backward says that it reads nothing but dy.
class Copy : public Kernel {
 public:
  Copy(const CompileRequest& request, Fault fault) : type_(request.inputs[0]), fault_(fault) {}
  std::vector<ValueType> inputs() const override { return {type_}; }
  ValueType output() const override { return type_; }
  std::vector<int64_t> saved() const override { return {64}; }
  int64_t workspace_bytes() const override { return 64; }
  std::vector<BackwardPart> backward_parts() const override {
    const BackwardPart part{"backward", {0}, false};
    if (fault_ == Fault::kForgetsGradient) return {};
    if (fault_ == Fault::kSameGradientTwice) return {part, part};
    return {part};
  }
  void bind(const KernelArgs& args) override { args_ = args; }

  void forward(Stream&) override {
    const float* x = args_.x[0].as<float>();
    float* y = args_.y.as<float>();
    const int64_t first = fault_ == Fault::kLeavesOutElement ? 1 : 0;
    std::copy(x + first, x + elements(), y + first);
    *static_cast<float*>(args_.workspace) = 0;
    if (fault_ == Fault::kWritesBehindOutput) y[elements()] = 0;
    if (fault_ == Fault::kWritesBeforeSaved) static_cast<float*>(args_.saved[0])[-1] = 0;
    if (fault_ == Fault::kChangesInput) args_.x[0].as<float>()[0] += 1;
    if (fault_ == Fault::kDirtyPadding) y[elements() - 1] = 1;
  }
  void backward(int, Stream&) override {
    const float* dy = args_.dy.as<float>();
    float* dx = args_.dx[0].as<float>();
    std::copy(dy, dy + elements(), dx);
    if (fault_ == Fault::kReadsInputInBackward) dx[0] = args_.x[0].as<float>()[0];
    if (fault_ == Fault::kKeepsWorkspace) dx[0] += *static_cast<float*>(args_.workspace);
  }

 private:
  int64_t elements() const { return type_.bytes() / size_of(Dtype::kF32); }

  ValueType type_;
  Fault fault_;
  KernelArgs args_;
};

class CopyFactory : public KernelFactory {
 public:
  explicit CopyFactory(Fault fault) : fault_(fault) {}
  std::unique_ptr<Kernel> make(const Layer&, const CompileRequest& request) const override {
    return std::make_unique<Copy>(request, fault_);
  }
  std::unique_ptr<Kernel> make_conversion(const ValueType&, const ValueType&, bool) const override { return nullptr; }
  std::unique_ptr<Kernel> make_sum(const ValueType&, int) const override { return nullptr; }

 private:
  Fault fault_;
};

KernelRig::Run run(Fault fault) {
  const std::unique_ptr<Device> device = make_cpu_device(1);
  const LayerCase it{"copy", [] { return std::make_unique<Relu>(); }, {{2, 3, 3, 5}}};
  return KernelRig(it, CopyFactory(fault), *device, Dtype::kF32, {8}).run(draw_inputs(it, Dtype::kF32, 1));
}

bool has_nan(const reference::Array& values) {
  return std::ranges::any_of(values.data, [](double value) { return value != value; });
}

using Faults = std::vector<std::string>;

TEST(KernelRig, ReturnsWhatKernelComputed) {
  const LayerCase it{"copy", [] { return std::make_unique<Relu>(); }, {{2, 3, 3, 5}}};
  const reference::Inputs in = draw_inputs(it, Dtype::kF32, 1);
  const KernelRig::Run found = run(Fault::kNone);
  EXPECT_EQ(found.faults, Faults());
  EXPECT_EQ(found.outputs.y.data, in.x[0].data);
  EXPECT_EQ(found.gradients.dx[0].data, in.dy.data);
}

TEST(KernelRig, SeesWritesOutsideTheOutputs) {
  EXPECT_EQ(run(Fault::kWritesBehindOutput).faults, Faults{"forward wrote around y"});
  EXPECT_EQ(run(Fault::kWritesBeforeSaved).faults, Faults{"forward wrote around saved[0]"});
  EXPECT_EQ(run(Fault::kChangesInput).faults, Faults{"forward wrote to x[0]"});
  EXPECT_EQ(run(Fault::kDirtyPadding).faults, Faults{"forward left padding of y that is not zero"});
}

TEST(KernelRig, TurnsForbiddenReadsIntoNan) {
  EXPECT_FALSE(has_nan(run(Fault::kNone).gradients.dx[0]));
  EXPECT_TRUE(has_nan(run(Fault::kLeavesOutElement).outputs.y));
  EXPECT_TRUE(has_nan(run(Fault::kReadsInputInBackward).gradients.dx[0]));
  EXPECT_TRUE(has_nan(run(Fault::kKeepsWorkspace).gradients.dx[0]));
}

TEST(KernelRig, CountsWhoWritesGradients) {
  EXPECT_EQ(run(Fault::kSameGradientTwice).faults, Faults{"dx[0] is written by 2 parts"});
  EXPECT_EQ(run(Fault::kForgetsGradient).faults, Faults{"dx[0] is written by 0 parts"});
}

}  // namespace
}  // namespace convoy
