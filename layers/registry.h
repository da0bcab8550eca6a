// The kernels of a device: one line per layer type in registry_<device>.cpp.
#pragma once

#include <memory>

#include "core/graph/layer.h"

namespace convoy {

std::unique_ptr<KernelFactory> make_cpu_kernels();

}  // namespace convoy
