// Every row of the case table with the kernels of the GPU, against the double reference.
#include "tests/gpu/gpu_test.h"
#include "tests/layers/layer_checks.h"

namespace convoy {
namespace {

class GpuLayersTest : public LayerTest {
 protected:
  static void SetUpTestSuite() {
    library_.emplace(load_cuda_library());
    device_ = library_->make_device(0);
    make_kernels({});
  }
  static void TearDownTestSuite() {
    kernels_.reset();
    device_.reset();
  }
  static void make_kernels(const CudaKernelOptions& options) {
    kernels_ = make_cuda_kernels(*library_, *device_, options);
  }

  static std::optional<CudaLibrary> library_;
  static std::unique_ptr<Device> device_;
  static std::unique_ptr<KernelFactory> kernels_;
};
std::optional<CudaLibrary> GpuLayersTest::library_;
std::unique_ptr<Device> GpuLayersTest::device_;
std::unique_ptr<KernelFactory> GpuLayersTest::kernels_;

TEST_P(GpuLayersTest, EqualsReferenceAndKeepsItsContract) { check_canonical(*kernels_, *device_); }

class GpuTf32Test : public GpuLayersTest {
 protected:
  static void SetUpTestSuite() {
    GpuLayersTest::SetUpTestSuite();
    make_kernels({.tf32 = true});
  }
};

// Both factors of each product are rounded to 10 bits of mantissa, each by 2^-11 at most.
TEST_P(GpuTf32Test, StaysNearTheReference) {
  tolerance_ = 4 * 0x1.0p-11;
  check_canonical(*kernels_, *device_);
}

class GpuAutotuneTest : public GpuLayersTest {
 protected:
  static void SetUpTestSuite() {
    GpuLayersTest::SetUpTestSuite();
    make_kernels({.autotune = true});
  }
};

TEST_P(GpuAutotuneTest, TheFastestEngineEqualsTheReference) { check_canonical(*kernels_, *device_); }

// Of layers whose products the libraries compute.
std::vector<LayerParam> products(const std::vector<Dtype>& dtypes) {
  std::vector<LayerParam> all = layer_params(dtypes);
  std::erase_if(all, [](const LayerParam& it) {
    const std::string type = it.it->layer()->type();
    return type != "conv2d" && type != "linear";
  });
  return all;
}

const auto kName = [](const auto& test) { return name_of(test.param); };
const std::vector<Dtype> kAll = {Dtype::kF32, Dtype::kBF16, Dtype::kF16};
INSTANTIATE_TEST_SUITE_P(Gpu, GpuLayersTest, testing::ValuesIn(layer_params(kAll)), kName);
INSTANTIATE_TEST_SUITE_P(Gpu, GpuTf32Test, testing::ValuesIn(products({Dtype::kF32})), kName);
INSTANTIATE_TEST_SUITE_P(Gpu, GpuAutotuneTest, testing::ValuesIn(products(kAll)), kName);

}  // namespace
}  // namespace convoy
