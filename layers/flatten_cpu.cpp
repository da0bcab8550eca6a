#include "layers/flatten.h"

#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

class FlattenCpu : public CpuKernel {
 public:
  FlattenCpu(const Flatten& layer, const CompileRequest& request) {
    const ValueType& x = request.inputs[0];
    inputs_ = {{x.shape, x.dtype}};
    output_ = {layer.shape(std::vector{x.shape}), x.dtype};
  }
  std::string engine() const override { return "view"; }
  bool output_is_input() const override { return true; }
  void forward(Stream&) override {}
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Flatten& layer, const CompileRequest& request) {
  return std::make_unique<FlattenCpu>(layer, request);
}

}  // namespace convoy
