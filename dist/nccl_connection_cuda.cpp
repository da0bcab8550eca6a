#include "dist/nccl_connection_cuda.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
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
constexpr auto kPatience = std::chrono::minutes(5);      // for a call of all ranks: then something is in its way

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
  ncclUniqueId id{};
  call_on_all_ranks("NCCL cannot make an id",
                    [&](ncclComm_t) { return host.rank() == 0 ? ncclGetUniqueId(&id) : ncclSuccess; });
  const std::string bytes = host.broadcast_bytes({id.internal, sizeof id.internal}, 0);
  std::memcpy(id.internal, bytes.data(), sizeof id.internal);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  try {
    call_on_all_ranks("NCCL did not start", [&](ncclComm_t) {
      return ncclCommInitRankConfig(&comm_, host.size(), id, host.rank(), &config);
    });
  } catch (...) {
    abort_and_wait();
    throw;
  }
  watch_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

void NcclConnection::close() noexcept {
  watch_ = {};  // stops and joins it
  if (!healthy()) return abort_and_wait();
  ncclResult_t result = ncclCommFinalize(comm_);
  wait_for(result, kGoodbye);
  if (result != ncclSuccess) return abort_and_wait();
  ncclCommDestroy(comm_);
  comm_ = nullptr;
}

void NcclConnection::abort_and_wait() noexcept {
  end("rank " + std::to_string(host_.rank()) + ": NCCL was aborted");
  if (aborted_.valid()) aborted_.wait_for(kGoodbye);
}

void NcclConnection::call(const Call& call) {
  ncclResult_t result = start(call);
  while (result == ncclInProgress) wait_for(result, kRound);
  if (result != ncclSuccess) end(message("NCCL", result));
  throw_if_ended();
}

// Ranks meet again and again until all are through: NCCL alone would leave the others waiting for one that fails.
void NcclConnection::call_on_all_ranks(const std::string& failure, const Call& call, ExitCode code) {
  const std::string waiting = "…";
  const std::string too_long = "rank " + std::to_string(host_.rank()) + ": " + failure + ": no answer for 5 minutes";
  const Clock::time_point end_of_patience = Clock::now() + kPatience;
  ncclResult_t result = start(call);
  for (bool all_through = false; !all_through;) {
    wait_for(result, kRound);
    all_through = true;
    const std::string pending = Clock::now() < end_of_patience ? waiting : too_long;
    for (const std::string& it :
         host_.all_gather_bytes(result == ncclInProgress ? pending : message(failure, result))) {
      if (it == waiting) all_through = false;
      if (it == waiting || it.empty()) continue;
      end(it);
      throw Error(code, it);
    }
  }
}

void NcclConnection::poll() {
  look();
  throw_if_ended();
}

bool NcclConnection::healthy() {
  const std::lock_guard lock(mutex_);
  return comm_ != nullptr && std::uncaught_exceptions() == exceptions_;
}

void NcclConnection::watch(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  while (!stopped.wait_for(lock, stop, kRound, [&] { return stop.stop_requested(); })) look();
}

ncclResult_t NcclConnection::start(const Call& call) {
  const std::lock_guard lock(mutex_);
  return ended_by_.empty() ? call(comm_) : ncclInvalidUsage;
}

void NcclConnection::wait_for(ncclResult_t& result, std::chrono::milliseconds at_most) {
  const Clock::time_point end = Clock::now() + at_most;
  for (Backoff backoff(0, 100); result == ncclInProgress && Clock::now() < end; result = state()) backoff.wait();
}

ncclResult_t NcclConnection::state() {
  const std::lock_guard lock(mutex_);
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = comm_ == nullptr ? ncclSuccess : ncclCommGetAsyncError(comm_, &state);
  return asked == ncclSuccess ? state : asked;
}

void NcclConnection::look() {
  const ncclResult_t result = state();
  if (is_error(result)) end(message("NCCL", result));
}

// What ended it or, when nothing has yet, what this result says of `failure`: "" if it is none.
std::string NcclConnection::message(const std::string& failure, ncclResult_t result) {
  const std::lock_guard lock(mutex_);
  if (!ended_by_.empty() || result == ncclSuccess) return ended_by_;
  const char* details = ncclGetLastError(comm_);
  return "rank " + std::to_string(host_.rank()) + ": " + failure + ": " + ncclGetErrorString(result) +
         (details == nullptr || *details == '\0' ? "" : std::string(" (") + details + ")");
}

void NcclConnection::throw_if_ended() {
  const std::lock_guard lock(mutex_);
  if (!ended_by_.empty()) throw Error(ExitCode::kUnavailable, ended_by_);
}

void NcclConnection::end(const std::string& message) noexcept {
  const std::lock_guard lock(mutex_);
  if (ended_by_.empty()) ended_by_ = message;
  if (comm_ == nullptr) return;
  // In a thread of its own, which the process may leave behind: NCCL stays in there until captured work is destroyed,
  // and that is for the thread that must hear of the error first.
  std::packaged_task<void()> abort([comm = std::exchange(comm_, nullptr)] { ncclCommAbort(comm); });
  aborted_ = abort.get_future();
  std::thread(std::move(abort)).detach();
}

}  // namespace convoy
