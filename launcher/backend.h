// What a rank computes with: its device, the kernels for it, and how tensors there are summed over ranks.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/device/cuda_library.h"
#include "core/train/flat_ops.h"
#include "dist/communicator.h"
#include "launcher/config/experiment.h"
#include "layers/products.h"

namespace convoy {

struct Backend {
  std::optional<CudaLibrary> library;  // none on the CPU
  std::unique_ptr<Device> device;
  std::unique_ptr<KernelFactory> kernels;
  std::unique_ptr<FlatOps> ops;
  std::unique_ptr<MatrixProducts> products;        // for optimizer.type: muon, else null
  std::unique_ptr<Communicator> own_communicator;  // null: the host's serves
  Communicator* communicator = nullptr;            // for tensors of the device
  Dtype precision = Dtype::kF32;                   // of activations, resolved
  std::string note;                                // why it is not what one might expect; may be empty
  std::string libraries;                           // "oneDNN 2.6.3, isa 0xe7", "CUDA 13.0, cuDNN 9.19.0, NCCL 2.28.9"
};

// Collective over `host`, which must outlive it.  `threads`: of each rank, for the CPU.
// Throws CollectiveError(kUnavailable) where the device asked for cannot be had: it names what is missing.
Backend make_backend(const Experiment& experiment, Communicator& host, int threads);

// Of the copy of the weights that kernels read, f32: the weights themselves.  A GPU's kernels read 16-bit weights as
// they are; the CPU's make their own copies, in layouts of their own.
Dtype shadow_dtype(const Backend& backend);

// What `auto` means there.
Dtype precision_on(DeviceKind kind, Precision precision);

}  // namespace convoy
