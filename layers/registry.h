// The kernels of a device: one line per layer type in registry_<device>.cpp.
#pragma once

#include <memory>
#include <string>

#include "core/graph/layer.h"

namespace convoy {

std::unique_ptr<KernelFactory> make_cpu_kernels();

// The library behind them as it runs here, with the instruction sets that it uses (DNNL_MAX_CPU_ISA lowers them):
// "oneDNN 2.6.3, isa 0xe7".  Results may differ in their last bits where this does.
std::string cpu_kernel_library();

}  // namespace convoy
