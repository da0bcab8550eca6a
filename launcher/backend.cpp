#include "launcher/backend.h"

#include <algorithm>

#include "dist/nccl.h"
#include "dist/staged.h"
#include "launcher/collective_errors.h"

namespace convoy {
namespace {

// Nothing on a machine without a GPU, and `why_not` says why; where one was asked for, that is an error.
std::optional<CudaLibrary> open_cuda(DeviceChoice choice, std::string& why_not) {
  if (choice == DeviceChoice::kCpu) return std::nullopt;
  try {
    if (choice == DeviceChoice::kAuto) require_cuda_driver();
    CudaLibrary library = load_cuda_library();
    library.device_count();  // says so where there is none
    return library;
  } catch (const Error& error) {
    if (choice == DeviceChoice::kCuda) throw Error(error.code(), std::string("device: cuda: ") + error.what());
    why_not = error.what();
    return std::nullopt;
  }
}

// `device: auto` means the same on all ranks: a GPU where every rank has one.
void agree_on_cuda(std::optional<CudaLibrary>& library, std::string& why_not, Communicator& host) {
  const std::vector<std::string> by_rank = host.all_gather_bytes(why_not);
  const auto without = std::ranges::find_if(by_rank, [](const std::string& reason) { return !reason.empty(); });
  if (without == by_rank.end() || !library) return;
  why_not = "rank " + std::to_string(without - by_rank.begin()) + " has no GPU: " + *without;
  library.reset();
}

// Ranks of a host take its devices in turn.  Where a launcher shows each rank a GPU of its own, there is one to see.
int device_of_rank(const Communicator& host, int devices, bool share) {
  if (host.local_size() > devices && devices > 1 && !share) {
    throw Error(ExitCode::kUnavailable, std::to_string(host.local_size()) + " ranks on this host, but " +
                                            std::to_string(devices) +
                                            " GPUs; start fewer, or set distributed.share_device: true");
  }
  return host.local_rank() % devices;
}

std::unique_ptr<Communicator> make_communicator(const Experiment& experiment, const CudaLibrary& library,
                                                Communicator& host, Device& device) {
  if (host.size() == 1 || experiment.distributed.share_device) return make_staged_communicator(host, device);
  return make_nccl_communicator(library, host, device, {});
}

bool needs_products(const Experiment& experiment) { return experiment.optimizer.type == OptimizerType::kMuon; }

Backend make_cuda_backend(const Experiment& experiment, CudaLibrary library, const Communicator& host) {
  Backend backend;
  backend.device =
      library.make_device(device_of_rank(host, library.device_count(), experiment.distributed.share_device));
  const CudaKernelOptions options{.deterministic = experiment.train.deterministic,
                                  .tf32 = experiment.train.tf32,
                                  .autotune = experiment.train.autotune};
  backend.kernels = make_cuda_kernels(library, *backend.device, options);
  if (needs_products(experiment)) backend.products = make_cuda_products(library, *backend.device, options);
  backend.ops = make_cuda_flat_ops(library);
  backend.libraries = library.versions();
  backend.library = std::move(library);
  return backend;
}

Backend make_cpu_backend(const Experiment& experiment, Communicator& host, int threads) {
  Backend backend;
  backend.device = make_cpu_device(threads);
  backend.kernels = make_cpu_kernels();
  if (needs_products(experiment)) backend.products = make_cpu_products();
  backend.ops = make_cpu_flat_ops();
  backend.communicator = &host;
  backend.libraries = cpu_kernel_library();
  return backend;
}

void require_possible(const TrainConfig& train, const Backend& backend) {
  if (backend.device->kind() == DeviceKind::kCuda) return;
  if (train.precision == Precision::kF16) {
    throw Error(ExitCode::kConfig, "train.precision: f16 needs a GPU; the CPU trains in f32 and bf16");
  }
  if (train.cuda_graph == CudaGraph::kOn) throw Error(ExitCode::kConfig, "train.cuda_graph: on needs a GPU");
}

}  // namespace

Backend make_backend(const Experiment& experiment, Communicator& host, int threads) {
  std::optional<CudaLibrary> library;
  std::string why_not;
  run_on_all_ranks(host, [&] { library = open_cuda(experiment.device, why_not); });
  agree_on_cuda(library, why_not, host);

  Backend backend;
  run_on_all_ranks(host, [&] {
    backend = library ? make_cuda_backend(experiment, *library, host) : make_cpu_backend(experiment, host, threads);
    backend.precision = precision_on(backend.device->kind(), experiment.train.precision);
    backend.note = why_not;
    require_possible(experiment.train, backend);
  });
  run_on_all_ranks(host, [&] {
    if (!library) return;
    backend.own_communicator = make_communicator(experiment, *library, host, *backend.device);
    backend.communicator = backend.own_communicator.get();
  });
  return backend;
}

Dtype shadow_dtype(const Backend& backend) {
  return backend.device->kind() == DeviceKind::kCuda ? backend.precision : Dtype::kF32;
}

Dtype precision_on(DeviceKind kind, Precision precision) {
  switch (precision) {
    case Precision::kAuto: return kind == DeviceKind::kCuda ? Dtype::kBF16 : Dtype::kF32;
    case Precision::kF32: return Dtype::kF32;
    case Precision::kBF16: return Dtype::kBF16;
    case Precision::kF16: return Dtype::kF16;
  }
  return Dtype::kF32;
}

}  // namespace convoy
