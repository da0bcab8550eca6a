// NCCL's communicator, and how its errors reach every rank; for dist/nccl_*_cuda.cpp only.
//
// NCCL never blocks the host: calls return at once, and where one must be through, the host asks NCCL again and again.
// What the host waits for in other ways, a stream or an event, may never end when a peer is gone.  So a thread asks
// NCCL ten times a second whether it met an error in the background, and aborts: work on the GPU ends, with whatever
// result, waits return, and the next call throws.  NCCL sees errors of networks, not a peer of the same host that is
// gone, and its kernels for symmetric windows do not end for an abort: there the launcher ends the other ranks.
#pragma once

#include <nccl.h>

#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>

#include "dist/communicator.h"

namespace convoy {

inline bool is_error(ncclResult_t result) { return result != ncclSuccess && result != ncclInProgress; }

class NcclConnection {
 public:
  using Call = std::function<ncclResult_t(ncclComm_t comm)>;

  // Collective over `host`, which must outlive it.  Throws Error(kUnavailable), the same on all ranks.
  explicit NcclConnection(Communicator& host);
  ~NcclConnection() { close(); }
  NcclConnection(const NcclConnection&) = delete;
  NcclConnection& operator=(const NcclConnection&) = delete;

  // Makes a call and waits until NCCL is through with it.  An error ends the connection, and so this and every later
  // call throws Error(kUnavailable) with this rank and NCCL's reason.
  void call(const Call& call);
  // The same where all ranks make the call: when it fails on one, all throw one Error, which names that rank.
  void call_on_all_ranks(const std::string& failure, const Call& call, ExitCode code = ExitCode::kUnavailable);
  // Throws what NCCL met in the background.  Host only: allowed while a stream is captured.
  void poll();
  // Gives back something that the connection holds.  After an error, or with an exception on its way, aborts instead.
  // Requires: work that was captured with calls in it is destroyed.
  void release(const Call& call) noexcept { healthy() ? static_cast<void>(start(call)) : abort_and_wait(); }
  // Waits for the other ranks to do the same, a while; or aborts, as above.
  void close() noexcept;

 private:
  bool healthy();
  // Ends collectives under way, here and, as far as NCCL can tell them, on the other ranks.
  void abort_and_wait() noexcept;
  ncclResult_t start(const Call& call);
  void wait_for(ncclResult_t& result, std::chrono::milliseconds at_most);
  ncclResult_t state();
  void look();
  std::string message(const std::string& failure, ncclResult_t result);
  void throw_if_ended();
  void end(const std::string& message) noexcept;
  void watch(const std::stop_token& stop);

  Communicator& host_;
  const int exceptions_ = std::uncaught_exceptions();  // on their way when it was made
  std::mutex mutex_;                                   // held during calls of NCCL
  // Guarded by mutex_.
  ncclComm_t comm_ = nullptr;  // null: it has not begun, or has ended
  std::string ended_by_;       // empty: it has not
  std::future<void> aborted_;
  std::jthread watch_;
};

}  // namespace convoy
