// What layers_cuda_test runs on.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "layers/registry.h"

namespace convoy {

struct CudaUnderTest {
  std::unique_ptr<Device> device;
  std::unique_ptr<KernelFactory> kernels;
};
CudaUnderTest cuda_under_test();

// Calls body("blocks of 64 threads, backward") once for each way to run kernels that must give the same results.
void for_each_way(const std::function<void(const std::string& way)>& body);

}  // namespace convoy
