// The door to the GPU: opens libconvoy_cuda.so, which holds all code that touches CUDA, cuDNN and NCCL, at run time.
// So the same convoy runs where no CUDA is installed, and says what is missing only where a GPU is asked for.
#pragma once

#include <memory>
#include <string>

#include "core/base/error.h"
#include "core/device/device.h"

namespace convoy {

// The open library.  It stays loaded until the process ends: CUDA's own libraries do not survive being closed.
class CudaLibrary {
 public:
  const std::string& path() const { return path_; }
  std::string versions() const;  // "CUDA 13.0, cuDNN 9.19.0, NCCL 2.28.9"

  // Devices visible to this process, at least one.  Throws Error(kUnavailable) with the driver's reason otherwise.
  int device_count() const;
  // Device number `index` < device_count(), for the calling thread alone.  Throws Error.
  std::unique_ptr<Device> make_device(int index) const;

  // A function of core/device/cuda_factory.h: function<decltype(convoy_cudnn_version)>("convoy_cudnn_version").
  template <class Function>
  Function* function(const char* name) const {
    return reinterpret_cast<Function*>(address(name));
  }

 private:
  friend CudaLibrary load_cuda_library();
  CudaLibrary(std::string path, void* handle) : path_(std::move(path)), handle_(handle) {}
  void* address(const char* name) const;

  std::string path_;
  void* handle_;
};

// Throws Error(kUnavailable) where there is no driver, unless CONVOY_CUDA_LIBRARY is set.  To be asked where a GPU is
// not a must: load_cuda_library() loads 100 MiB of libraries before it finds out.
void require_cuda_driver();

// Opens the file that the environment names in CONVOY_CUDA_LIBRARY, else looks beside the executable, in ../lib from
// there, and where the system looks (LD_LIBRARY_PATH, ld.so.conf). A CUDA library that the system does not find is
// taken from the Python environment in $VIRTUAL_ENV or $CONDA_PREFIX (the nvidia-* wheels).  Throws Error(kUnavailable)
// that names the missing library.
CudaLibrary load_cuda_library();

}  // namespace convoy
