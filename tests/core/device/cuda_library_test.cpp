#include "core/device/cuda_library.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace convoy {
namespace {

// The library, or the reason why this machine has none (it must be one that names what is missing).
std::optional<CudaLibrary> open(std::string& reason) {
  try {
    return load_cuda_library();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUnavailable);
    reason = error.what();
    EXPECT_NE(reason.find("not found"), std::string::npos) << reason;
    return std::nullopt;
  }
}

TEST(CudaLibrary, NamesItsVersions) {
  std::string reason;
  const std::optional<CudaLibrary> library = open(reason);
  if (!library) GTEST_SKIP() << reason;
  const std::string versions = library->versions();
  for (const char* part : {"CUDA 1", "cuDNN 9.", "NCCL 2."})
    EXPECT_NE(versions.find(part), std::string::npos) << versions;
}

TEST(CudaLibrary, CountsDevicesOrSaysWhyThereAreNone) {
  std::string reason;
  const std::optional<CudaLibrary> library = open(reason);
  if (!library) GTEST_SKIP() << reason;
  try {
    EXPECT_GE(library->device_count(), 1);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUnavailable);
    EXPECT_EQ(std::string(error.what()).rfind("no CUDA device: ", 0), 0u) << error.what();
    GTEST_SKIP() << error.what();
  }
}

}  // namespace
}  // namespace convoy
