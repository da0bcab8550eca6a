// Convolutions and linear layers where the libraries lack engines.
#include "tests/cuda_on_cpu/libraries.h"
#include "tests/layers/cuda_under_test.h"
#include "tests/layers/layer_checks.h"

namespace convoy {
namespace {

class Conv2dCudaTest : public LayerTest {
 protected:
  void TearDown() override { cuda_on_cpu::refused_convolutions() = nullptr; }
  void check_without(const std::function<bool(const ConvolutionSpec&)>& engines) {
    cuda_on_cpu::refused_convolutions() = engines;
    const CudaUnderTest cuda = cuda_under_test();
    check_all_layouts(*cuda.kernels, *cuda.device);
  }
};

TEST_P(Conv2dCudaTest, WithoutEngines) {
  for_each_way([&](const std::string& way) {
    SCOPED_TRACE(way);
    check_without([](const ConvolutionSpec&) { return true; });
  });
}

TEST_P(Conv2dCudaTest, WithoutWeightGradientsInF32) {
  if (GetParam().dtype == Dtype::kF32) return;
  check_without([](const ConvolutionSpec& it) { return it.result != it.dtype; });
}

TEST_P(Conv2dCudaTest, WithoutBiasAndReluInTheEngine) {
  if (GetParam().dtype != Dtype::kF32) return;  // others are rounded twice
  check_without([](const ConvolutionSpec& it) { return it.bias || it.relu; });
}

std::vector<LayerParam> params() {
  std::vector<LayerParam> all = layer_params({Dtype::kF32, Dtype::kBF16, Dtype::kF16});
  std::erase_if(all, [](const LayerParam& it) {
    const std::string type = it.it->layer()->type();
    return type != "conv2d" && type != "linear";
  });
  return all;
}

INSTANTIATE_TEST_SUITE_P(Cuda, Conv2dCudaTest, testing::ValuesIn(params()),
                         [](const auto& test) { return name_of(test.param); });

}  // namespace
}  // namespace convoy
