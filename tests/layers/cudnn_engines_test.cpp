// That cuDNN has an engine for every convolution of the case table, on cards that are described to it: it plans without
// one.  Nothing runs.
#include <gtest/gtest.h>

#include <string>

#include "layers/conv2d.h"
#include "layers/cudnn_descriptor_cuda.h"
#include "tests/cases/layer_cases.h"

namespace convoy {
namespace {

using Pass = ConvolutionSpec::Pass;

// As cuDNN writes CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION of a card.
std::string card(const std::string& name, int capability, int processors, int shared_memory) {
  return R"({"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"warpSize":32,)"
         R"("maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,)"
         R"("maxCtasPerSM":32,"maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,)"
         R"("supportCoopLaunch":1,"totalGlobalMem":85000000000,"smClockRateKHz":1410000,"memClockRateKHz":1593000,)"
         R"("l2CacheSize":41943040,"cudaDeviceId":0,"driverVer":13000,"maxSharedMemoryPerBlockOptin":)" +
         std::to_string(shared_memory) + R"(,"multiProcessorCount":)" + std::to_string(processors) +
         R"(,"deviceVer":)" + std::to_string(capability) + R"(,"deviceName":")" + name + R"("})";
}

struct Card {
  const char* name;
  int capability, processors, shared_memory;
};
constexpr Card kCards[] = {{"A100", 800, 108, 166912}, {"H100", 900, 132, 232448}};

class CudnnEnginesTest : public testing::TestWithParam<Card> {
 protected:
  bool has_engine(const ConvolutionSpec& spec, const CudaKernelOptions& options) {
    return !cudnn_engines({.properties = properties_.get()}, spec, options, 1).empty();
  }
  void expect_engines(const LayerCase& it, const Conv2d& layer, Dtype dtype, const CudaKernelOptions& options) {
    SCOPED_TRACE(it.name + " " + to_string(dtype) + (options.tf32 ? " with TF32" : ""));
    ConvolutionSpec spec{.x = it.inputs[0],
                         .w = layer.parameters(it.inputs)[0].shape,
                         .y = layer.shape(it.inputs),
                         .axes = window_axes(layer.options().window, it.inputs[0]),
                         .groups = layer.options().groups,
                         .dtype = dtype,
                         .result = dtype};
    for (Pass pass : {Pass::kForward, Pass::kBackwardData, Pass::kBackwardWeights}) {
      spec.pass = pass;
      EXPECT_TRUE(has_engine(spec, options)) << "pass " << static_cast<int>(pass);
    }
    if (!layer.options().bias) return;
    spec.pass = Pass::kForward;
    spec.bias = true;
    spec.relu = layer.options().relu;
    EXPECT_TRUE(has_engine(spec, options)) << "with bias";
  }

 private:
  const Descriptor properties_ = [] {
    const Card& it = GetParam();
    const std::string text = card(it.name, it.capability, it.processors, it.shared_memory);
    return Descriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR)
        .set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, std::ssize(text), text.data())
        .finalize();
  }();
};

TEST_P(CudnnEnginesTest, ServeEveryConvolution) {
  for (const LayerCase& it : layer_cases()) {
    const std::unique_ptr<Layer> layer = it.layer();
    const auto* const conv = dynamic_cast<const Conv2d*>(layer.get());
    if (conv == nullptr) continue;
    for (Dtype dtype : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) expect_engines(it, *conv, dtype, {});
    expect_engines(it, *conv, Dtype::kF32, {.tf32 = true});
  }
}

INSTANTIATE_TEST_SUITE_P(Cards, CudnnEnginesTest, testing::ValuesIn(kCards),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace convoy
