// LARS, LAMB, Muon and the average on the CPU.
#include "layers/products.h"
#include "tests/core/train/layerwise_checks.h"

namespace convoy {

LayerwiseUnderTest layerwise_under_test() { return {make_cpu_device(2), make_cpu_flat_ops(), make_cpu_products()}; }

}  // namespace convoy
