// Every row of the case table with the kernels of the GPU.
#include "tests/layers/cuda_under_test.h"
#include "tests/layers/layer_checks.h"

namespace convoy {
namespace {

TEST_P(LayerTest, EqualsReferenceAndKeepsItsContract) {
  const CudaUnderTest cuda = cuda_under_test();
  for_each_way([&](const std::string& way) {
    SCOPED_TRACE(way);
    check_all_layouts(*cuda.kernels, *cuda.device);
  });
}

INSTANTIATE_TEST_SUITE_P(Cuda, LayerTest, testing::ValuesIn(layer_params({Dtype::kF32, Dtype::kBF16, Dtype::kF16})),
                         [](const auto& test) { return name_of(test.param); });

}  // namespace
}  // namespace convoy
