#include "core/device/cuda_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "core/device/cuda_factory.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "libconvoy_cuda.so";

std::string last_error() {
  const char* text = dlerror();
  return text ? text : "unknown error";
}

// The file to open; the bare name leaves the search to the system.
std::string library_path() {
  const char* chosen = std::getenv("CONVOY_CUDA_LIBRARY");
  if (chosen != nullptr && *chosen != '\0') return chosen;
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const fs::path& candidate : {folder / kName, folder.parent_path() / "lib" / kName}) {
    if (fs::exists(candidate, ignored)) return candidate.string();
  }
  return kName;
}

// dlopen reports "libcudnn.so.9: cannot open shared object file: …" for the library that it does not find.
std::string missing_library(std::string_view message) {
  const size_t colon = message.find(": cannot open shared object file");
  return colon == std::string_view::npos ? "" : std::string(message.substr(0, colon));
}

// ENV/lib/python3.x/site-packages/nvidia/PACKAGE/lib/NAME, or an empty path.
fs::path find_in_wheels(const std::string& name) {
  std::error_code ignored;
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    const char* environment = std::getenv(variable);
    if (!environment) continue;
    for (const auto& python : fs::directory_iterator(fs::path(environment) / "lib", ignored)) {
      for (const auto& wheel : fs::directory_iterator(python.path() / "site-packages" / "nvidia", ignored)) {
        const fs::path candidate = wheel.path() / "lib" / name;
        if (fs::exists(candidate, ignored)) return candidate;
      }
    }
  }
  return {};
}

// Opens `path`; each library it misses and a wheel has is opened first (the loader then finds it by its name).
void* open_with_wheels(const std::string& path, std::string& error) {
  constexpr int kMostLibraries = 32;
  for (int i = 0; i < kMostLibraries; ++i) {
    if (void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) return handle;
    error = last_error();
    const fs::path wheel = find_in_wheels(missing_library(error));
    std::string ignored;
    if (wheel.empty() || wheel == path || !open_with_wheels(wheel.string(), ignored)) return nullptr;
  }
  return nullptr;
}

std::string dotted(int major, int minor) { return std::to_string(major) + "." + std::to_string(minor); }

}  // namespace

void* CudaLibrary::address(const char* name) const {
  void* address = dlsym(handle_, name);
  if (address == nullptr) throw Error(ExitCode::kUnavailable, path_ + ": not of this build of convoy: " + last_error());
  return address;
}

std::string CudaLibrary::versions() const {
  const int cuda = function<decltype(convoy_cuda_runtime_version)>("convoy_cuda_runtime_version")();
  const int cudnn = function<decltype(convoy_cudnn_version)>("convoy_cudnn_version")();
  const int nccl = function<decltype(convoy_nccl_version)>("convoy_nccl_version")();
  return "CUDA " + dotted(cuda / 1000, cuda % 1000 / 10) +                                              //
         ", cuDNN " + dotted(cudnn / 10000, cudnn % 10000 / 100) + "." + std::to_string(cudnn % 100) +  //
         ", NCCL " + dotted(nccl / 10000, nccl % 10000 / 100) + "." + std::to_string(nccl % 100);
}

std::unique_ptr<Device> CudaLibrary::make_device(int index) const {
  return std::unique_ptr<Device>(function<decltype(convoy_cuda_make_device)>("convoy_cuda_make_device")(index));
}

int CudaLibrary::device_count() const {
  int count = 0;
  const char* reason = function<decltype(convoy_cuda_device_count)>("convoy_cuda_device_count")(&count);
  if (!reason && count == 0) reason = "the driver lists no device";
  if (reason) throw Error(ExitCode::kUnavailable, std::string("no CUDA device: ") + reason);
  return count;
}

void require_cuda_driver() {
  const char* chosen = std::getenv("CONVOY_CUDA_LIBRARY");
  if (chosen != nullptr && *chosen != '\0') return;
  if (dlopen("libcuda.so.1", RTLD_LAZY) != nullptr) return;  // it stays, for ours
  throw Error(ExitCode::kUnavailable, "no CUDA driver: " + last_error());
}

CudaLibrary load_cuda_library() {
  const std::string path = library_path();
  std::string error;
  if (void* handle = open_with_wheels(path, error)) {
    CudaLibrary library(path, handle);
    const std::string build = library.function<decltype(convoy_cuda_build)>("convoy_cuda_build")();
    if (build == CONVOY_CUDA_BUILD) return library;
    throw Error(ExitCode::kUnavailable, path + ": not of this build of convoy, but of '" + build + "'");
  }
  const std::string missing = missing_library(error);
  if (missing == kName) {
    throw Error(ExitCode::kUnavailable, std::string(kName) + " not found: build with -DCONVOY_CUDA=ON");
  }
  if (missing == path) throw Error(ExitCode::kUnavailable, path + " not found, which CONVOY_CUDA_LIBRARY names");
  throw Error(ExitCode::kUnavailable,
              path + ": " + (missing.empty() ? error : "needs " + missing + ", which is not found"));
}

}  // namespace convoy
