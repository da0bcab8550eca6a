// The GPU as a Device; for *_cuda.* files and tests that link them.
#pragma once

#include <memory>

#include "core/device/device.h"

namespace convoy {

// Device number `index` of this process becomes the current one of the calling thread, which alone may use it.
// Throws Error(kUnavailable, kOutOfMemory).
std::unique_ptr<Device> cuda_device(int index);

}  // namespace convoy
