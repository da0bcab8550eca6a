#include "layers/add.h"
#include "layers/convert_cpu.h"

namespace convoy {

// All inputs come as the first one lies.  The gradient of each is dy itself.
std::unique_ptr<Kernel> make_cpu_kernel(const Add&, const CompileRequest& request) {
  return make_cpu_sum(request.inputs[0], static_cast<int>(request.inputs.size()));
}

}  // namespace convoy
