#include <iostream>

#include "core/base/simd.h"
#include "core/device/cuda_library.h"
#include "launcher/commands/commands.h"
#include "layers/registry.h"

namespace convoy {
namespace {

std::string cuda_text() {
  try {
    return load_cuda_library().versions();
  } catch (const Error& error) {
    return std::string("no CUDA: ") + error.what();
  }
}

}  // namespace

std::string version_text() {
  return "convoy " CONVOY_VERSION " (" CONVOY_REVISION ", " CONVOY_COMPILER ", " + cpu_kernel_library() + ", " +
         MpiSession::library() + ", " + to_string(simd_level()) + " loops)";
}

int version_command() {
  std::cout << version_text() << "\n" << cuda_text() << "\n";
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace convoy
