// The kernel rig sees a kernel that writes behind the end of its output.
#include <gtest/gtest.h>

#include "core/device/device_cuda.h"
#include "core/device/launch_cuda.h"
#include "layers/kernel_base.h"
#include "layers/relu.h"
#include "tests/cases/kernel_rig.h"
#include "tests/cuda_on_cpu/machine.h"

namespace convoy {
namespace {

__global__ void copy(const float* x, float* y, int64_t last) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i <= last) y[i] = x[i];
}

class Copy : public KernelBase {
 public:
  Copy(const CompileRequest& request, bool one_too_many) : one_too_many_(one_too_many) {
    inputs_ = {request.inputs[0]};
    output_ = request.inputs[0];
  }
  void forward(Stream& stream) override {
    const int64_t elements = output_.shape.elements();
    launch(copy, 4, 64, stream, args_.x[0].as<float>(), args_.y.as<float>(), one_too_many_ ? elements : elements - 1);
  }

 private:
  bool one_too_many_;
};

class Copies : public KernelFactory {
 public:
  explicit Copies(bool one_too_many) : one_too_many_(one_too_many) {}
  std::unique_ptr<Kernel> make(const Layer&, const CompileRequest& request) const override {
    return std::make_unique<Copy>(request, one_too_many_);
  }
  std::unique_ptr<Kernel> make_conversion(const ValueType&, const ValueType&, bool) const override { return nullptr; }
  std::unique_ptr<Kernel> make_sum(const ValueType&, int) const override { return nullptr; }

 private:
  bool one_too_many_;
};

TEST(Tail, OneElementTooManyIsSeen) {
  cuda_on_cpu::boot({});
  const std::unique_ptr<Device> device = cuda_device(0);
  const LayerCase it{
      .name = "copy", .layer = [] { return std::make_unique<Relu>(); }, .inputs = {{2, 5, 5, 3}}, .mode = Mode::kEval};
  const reference::Inputs in = draw_inputs(it, Dtype::kF32, 1);
  for (bool one_too_many : {false, true}) {
    const KernelRig::Run run = KernelRig(it, Copies(one_too_many), *device, Dtype::kF32, {}).run(in);
    EXPECT_EQ(run.outputs.y.data, in.x[0].data);
    using Faults = std::vector<std::string>;
    EXPECT_EQ(run.faults, one_too_many ? Faults{"forward wrote around y"} : Faults());
  }
}

}  // namespace
}  // namespace convoy
