#include "dist/nccl_connection_cuda.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "core/device/cuda_check.h"
#include "dist/backoff.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kRound = std::chrono::milliseconds(100);  // between two looks at the other ranks
constexpr auto kGoodbye = std::chrono::seconds(10);      // for the others to come to the end

// "GPU 0000:17:00.0 of node07", and what tells hosts of one name apart.  NCCL compares the same.
std::string gpu_of_this_rank() {
  int device = 0;
  cudaDeviceProp properties{};
  check(cudaGetDevice(&device));
  check(cudaGetDeviceProperties(&properties, device));
  char host[256] = "", gpu[320];
  gethostname(host, sizeof host - 1);
  std::snprintf(gpu, sizeof gpu, "GPU %04x:%02x:%02x.0 of %s\n", static_cast<unsigned>(properties.pciDomainID),
                static_cast<unsigned>(properties.pciBusID), static_cast<unsigned>(properties.pciDeviceID), host);
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  return gpu + boot;
}

void refuse_shared_gpus(Communicator& host) {
  const std::vector<std::string> gpus = host.all_gather_bytes(gpu_of_this_rank());
  for (size_t second = 1; second < gpus.size(); ++second) {
    for (size_t first = 0; first < second; ++first) {
      if (gpus[first] != gpus[second]) continue;
      throw Error(ExitCode::kUnavailable,
                  "ranks " + std::to_string(first) + " and " + std::to_string(second) + " share " +
                      gpus[first].substr(0, gpus[first].find('\n')) +
                      ", and NCCL wants one for each rank: start fewer ranks, or set distributed.share_device: true, "
                      "which sums through host memory");
    }
  }
}

}  // namespace

NcclConnection::NcclConnection(Communicator& host) : host_(host) {
  refuse_shared_gpus(host);
  try {
    ncclUniqueId id{};
    check_on_all_ranks("NCCL cannot make an id", host.rank() == 0 ? ncclGetUniqueId(&id) : ncclSuccess);
    const std::string bytes = host.broadcast_bytes({id.internal, sizeof id.internal}, 0);
    std::memcpy(id.internal, bytes.data(), sizeof id.internal);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    check_on_all_ranks("NCCL did not start", ncclCommInitRankConfig(&comm_, host.size(), id, host.rank(), &config));
  } catch (...) {
    abort();
    throw;
  }
}

void NcclConnection::close() noexcept {
  if (!healthy()) return abort();
  ncclResult_t result = ncclCommFinalize(comm_);
  const Clock::time_point end = Clock::now() + kGoodbye;
  for (Backoff backoff(0, 100); result == ncclInProgress && Clock::now() < end; result = state()) backoff.wait();
  if (result != ncclSuccess) return abort();
  ncclCommDestroy(comm_);
  comm_ = nullptr;
}

ncclComm_t NcclConnection::get() const {
  if (comm_ == nullptr) throw Error(ExitCode::kUnavailable, ended_by_);
  return comm_;
}

void NcclConnection::check(ncclResult_t result) {
  for (Backoff backoff(0, 100); result == ncclInProgress; result = state()) backoff.wait();
  if (result == ncclSuccess) return;
  ended_by_ = "rank " + std::to_string(host_.rank()) + ": " + reason(result);
  abort();
  throw Error(ExitCode::kUnavailable, ended_by_);
}

// Ranks meet again and again until all are through: NCCL alone would leave the others waiting for one that fails.
void NcclConnection::check_on_all_ranks(const std::string& what, ncclResult_t result, ExitCode code) {
  const std::string waiting = "…";
  for (bool all_through = false; !all_through;) {
    const Clock::time_point end = Clock::now() + kRound;
    for (Backoff backoff(0, 100); result == ncclInProgress && Clock::now() < end; result = state()) backoff.wait();
    const std::vector<std::string> reasons = host_.all_gather_bytes(result == ncclSuccess      ? ""
                                                                    : result == ncclInProgress ? waiting
                                                                                               : reason(result));
    all_through = true;
    for (size_t r = 0; r < reasons.size(); ++r) {
      if (reasons[r] == waiting) all_through = false;
      if (reasons[r].empty() || reasons[r] == waiting) continue;
      ended_by_ = "rank " + std::to_string(r) + ": " + what + ": " + reasons[r];
      abort();
      throw Error(code, ended_by_);
    }
  }
}

ncclResult_t NcclConnection::state() const {
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(get(), &state);
  return asked == ncclSuccess ? state : asked;
}

std::string NcclConnection::reason(ncclResult_t result) const {
  std::string text = std::string("NCCL: ") + ncclGetErrorString(result);
  const char* details = ncclGetLastError(comm_);
  if (details != nullptr && *details != '\0') text += std::string(" (") + details + ")";
  return text;
}

void NcclConnection::abort() noexcept {
  if (comm_ != nullptr) ncclCommAbort(comm_);
  comm_ = nullptr;
}

}  // namespace convoy
