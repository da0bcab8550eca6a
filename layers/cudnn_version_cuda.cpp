#include <cudnn.h>

#include "core/device/cuda_factory.h"

int convoy_cudnn_version() { return static_cast<int>(cudnnGetVersion()); }
