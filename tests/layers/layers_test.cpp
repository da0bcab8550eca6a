// Every row of the case table on the CPU.
#include "layers/registry.h"
#include "tests/layers/layer_checks.h"

namespace convoy {
namespace {

TEST_P(LayerTest, EqualsReferenceAndKeepsItsContract) {
  const std::unique_ptr<KernelFactory> kernels = make_cpu_kernels();
  try {
    for (int threads : {1, 2}) check_all_layouts(*kernels, *make_cpu_device(threads));
  } catch (const Error& error) {
    if (error.code() != ExitCode::kUnavailable) throw;
    GTEST_SKIP() << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, LayerTest, testing::ValuesIn(layer_params({Dtype::kF32, Dtype::kBF16})),
                         [](const auto& test) { return name_of(test.param); });

}  // namespace
}  // namespace convoy
