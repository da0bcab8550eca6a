// NCCL's communicator, and how its errors reach every rank; for dist/nccl_*_cuda.cpp only.
//
// It never blocks in NCCL: calls return at once, and where one must be through it asks NCCL again and again.  So a rank
// that waits sees an error that NCCL met in the background, and can end what it waits for.
#pragma once

#include <nccl.h>

#include <exception>
#include <string>

#include "dist/communicator.h"

namespace convoy {

class NcclConnection {
 public:
  // Collective over `host`, which must outlive it.  Throws Error(kUnavailable), the same on all ranks.
  explicit NcclConnection(Communicator& host);
  ~NcclConnection() { close(); }
  NcclConnection(const NcclConnection&) = delete;
  NcclConnection& operator=(const NcclConnection&) = delete;

  // For the next call, with nothing under way.  Throws Error(kUnavailable) once the connection has ended.
  ncclComm_t get() const;
  // What a call returned; waits until NCCL is through with it.  An error ends the connection: Error(kUnavailable).
  void check(ncclResult_t result);
  // The same where all ranks make the call: when it fails on one, it ends the connection on all, with one Error.
  void check_on_all_ranks(const std::string& what, ncclResult_t result, ExitCode code = ExitCode::kUnavailable);
  // Throws what NCCL met in the background.  Host only: allowed while a stream is captured.
  void poll() { check(state()); }
  // Whether work on the GPU can be waited for: no error so far, and no exception on its way.
  bool healthy() const { return comm_ != nullptr && std::uncaught_exceptions() == exceptions_; }
  // Ends collectives under way, here and, as far as NCCL can tell them, on the other ranks.
  void abort() noexcept;
  // Waits for the other ranks to do the same, a while; where it is not healthy, aborts.
  void close() noexcept;

 private:
  ncclResult_t state() const;
  std::string reason(ncclResult_t result) const;

  Communicator& host_;
  const int exceptions_ = std::uncaught_exceptions();  // on their way when it was made
  ncclComm_t comm_ = nullptr;                          // null: it has ended
  std::string ended_by_ = "the connection was aborted";
};

}  // namespace convoy
