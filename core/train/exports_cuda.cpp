#include "core/device/cuda_factory.h"
#include "core/train/flat_ops_cuda.h"

convoy::FlatOps* convoy_cuda_make_flat_ops() { return convoy::cuda_flat_ops().release(); }
