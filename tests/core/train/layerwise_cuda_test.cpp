// LARS, LAMB, Muon and the average on a GPU.
#include "core/device/device_cuda.h"
#include "core/train/flat_ops_cuda.h"
#include "layers/registry_cuda.h"
#include "tests/core/train/layerwise_checks.h"

namespace convoy {

LayerwiseUnderTest layerwise_under_test() {
  std::unique_ptr<Device> device = cuda_device(0);  // current from here on
  std::unique_ptr<MatrixProducts> products = cuda_products(*device, {});
  return {std::move(device), cuda_flat_ops(), std::move(products)};
}

}  // namespace convoy
