#include "tests/cuda_on_cpu/nccl_clique.h"

#include <algorithm>

#include "tests/cuda_on_cpu/nccl_faults.h"
#include "tests/cuda_on_cpu/streams.h"

namespace convoy::cuda_on_cpu {
NcclFaults& nccl_faults() {
  static NcclFaults faults;
  return faults;
}

ncclComm_t NcclClique::join(int rank) {
  const std::lock_guard lock(mutex_);
  auto& comm = comms_.at(static_cast<size_t>(rank));
  comm = std::make_unique<NcclCommOnCpu>(*this, rank);
  if (nccl_faults().rank == rank && !nccl_faults().starts) fail(*comm, ncclSystemError, "injected: no start");
  return comm.get();
}

ncclResult_t NcclClique::poll(NcclCommOnCpu& comm) {
  std::unique_lock lock(mutex_);
  if (comm.phase == Phase::kEnded) return refuse(comm, "the communicator has ended");
  const auto here = [](const auto& it) { return it != nullptr; };
  if (comm.phase == Phase::kStarting && std::ranges::all_of(comms_, here)) comm.phase = Phase::kReady;
  if (comm.phase == Phase::kFinalizing && !gone().empty()) fail(comm, ncclRemoteError, gone());
  if (comm.phase == Phase::kFinalizing && all(Phase::kFinalizing)) {
    for (const auto& it : comms_) it->phase = Phase::kFinalized;
  }
  if (comm.phase == Phase::kFailed) return comm.error;
  if (comm.phase == Phase::kLaunching && comm.asked && comm.owner == std::this_thread::get_id()) {
    comm.phase = Phase::kReady;
    const std::vector<NcclCall> calls = std::move(comm.launching);
    lock.unlock();  // streams may run work at once
    for (const NcclCall& call : calls) {
      cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
      cudaStreamIsCapturing(call.stream, &status);
      const std::shared_ptr<int> held = status == cudaStreamCaptureStatusActive ? comm.captured : nullptr;
      enqueue(call.stream, to_string(call), [this, &comm, call, held] { run(comm, call); });
    }
    return ncclSuccess;
  }
  comm.asked = true;
  return comm.phase == Phase::kReady || comm.phase == Phase::kFinalized ? ncclSuccess : ncclInProgress;
}

ncclResult_t NcclClique::launch(NcclCommOnCpu& comm, std::vector<NcclCall> calls) {
  const std::lock_guard lock(mutex_);
  if (const ncclResult_t result = expect_ready(comm); result != ncclSuccess) return result;
  const int before = comm.calls;
  comm.calls += static_cast<int>(calls.size());
  const NcclFaults& faults = nccl_faults();
  if (faults.rank == comm.rank && before <= faults.call && faults.call < comm.calls) {
    fail(comm, ncclInternalError, "injected: call " + std::to_string(faults.call));
    return comm.error;
  }
  comm.launching = std::move(calls);
  comm.asked = false;
  comm.phase = Phase::kLaunching;
  return ncclInProgress;
}

// ---- In the stream

void NcclClique::run(NcclCommOnCpu& comm, NcclCall call) {
  std::unique_lock lock(mutex_);
  const NcclFaults& faults = nccl_faults();
  const int number = comm.runs++;
  call.place = place_of(comm, call.kind == NcclCall::Kind::kAllGather ? call.to : call.from);
  Meeting& meeting = meetings_[number];
  meeting.calls.resize(comms_.size());
  meeting.calls[static_cast<size_t>(comm.rank)] = &call;
  if (++meeting.arrived == comms_.size()) meet(meeting, number);
  const auto over = [&] { return meeting.done || comm.phase >= Phase::kFailed || !gone().empty(); };
  if (!changed_.wait_for(lock, faults.patience, over)) {
    miss(meeting, "collective " + std::to_string(number) + ", " + to_string(call));
  } else if (!meeting.done) {
    fail(comm, ncclRemoteError, gone());
  }
  if (!meeting.done) return wait_for_end(comm, lock);
  if (faults.rank == comm.rank && faults.error_behind == number) fail(comm, ncclSystemError, "injected: error behind");
  if (++meeting.left == comms_.size()) meetings_.erase(number);
}

// All ranks are here: runs their collective, where it is the same one.
void NcclClique::meet(Meeting& meeting, int number) {
  const auto same = [&](const NcclCall* it) { return to_string(*it) == to_string(*meeting.calls[0]); };
  meeting.done = std::ranges::all_of(meeting.calls, same);
  if (meeting.done) {
    run_collective(meeting.calls);
  } else {
    std::string text = "collective " + std::to_string(number) + " differs";
    for (size_t r = 0; r < comms_.size(); ++r)
      text += "; rank " + std::to_string(r) + ": " + to_string(*meeting.calls[r]);
    for (const auto& it : comms_) fail(*it, ncclInvalidUsage, text);
  }
  changed_.notify_all();
}

// Those that are here learn who is not.
void NcclClique::miss(const Meeting& meeting, const std::string& what) {
  std::string missing;
  for (size_t r = 0; r < comms_.size(); ++r) {
    if (meeting.calls[r] == nullptr) missing += " " + std::to_string(r);
  }
  for (size_t r = 0; r < comms_.size(); ++r) {
    if (meeting.calls[r] != nullptr) fail(*comms_[r], ncclRemoteError, what + ": did not come: rank" + missing);
  }
}

// As a kernel that waits for a peer: only an abort ends it.  Where streams run in the thread that waits for them,
// nobody could abort.
void NcclClique::wait_for_end(NcclCommOnCpu& comm, std::unique_lock<std::mutex>& lock) {
  if (comm.owner == std::this_thread::get_id()) return;
  changed_.wait(lock, [&] { return comm.phase == Phase::kEnded; });
}

std::string NcclClique::place_of(const NcclCommOnCpu& comm, const void* data) const {
  for (const auto& it : comm.windows) {
    if (it == nullptr || data < it->data || data >= it->data + it->bytes) continue;
    return " from window " + std::to_string(it->number) + " + " +
           std::to_string(static_cast<const std::byte*>(data) - it->data);
  }
  return "";
}

// ---- Windows

ncclResult_t NcclClique::register_window(NcclCommOnCpu& comm, NcclWindowOnCpu window) {
  const std::lock_guard lock(mutex_);
  if (const ncclResult_t result = expect_ready(comm); result != ncclSuccess) return result;
  window.number = static_cast<int>(comm.windows.size());
  comm.windows.push_back(std::make_unique<NcclWindowOnCpu>(window));
  comm.phase = Phase::kRegistering;
  const auto number = comm.windows.size() - 1;
  std::string text = "window " + std::to_string(number) + " differs";
  bool here = true, same = true;
  for (const auto& it : comms_) {
    here = here && it->windows.size() == comm.windows.size() && it->phase == Phase::kRegistering;
    if (!here) return ncclInProgress;
    same = same && it->windows[number]->bytes == window.bytes;
    text += "; rank " + std::to_string(it->rank) + ": " + std::to_string(it->windows[number]->bytes) + " bytes";
  }
  for (const auto& it : comms_) {
    it->phase = Phase::kReady;
    *it->windows[number]->result = it->windows[number].get();
    if (!same) fail(*it, ncclInvalidArgument, text);
  }
  return comm.error;
}

ncclResult_t NcclClique::deregister_window(NcclCommOnCpu& comm, const NcclWindowOnCpu* window) {
  const std::lock_guard lock(mutex_);
  if (const ncclResult_t result = expect_ready(comm); result != ncclSuccess) return result;
  const auto found = std::ranges::find(comm.windows, window, [](const auto& it) { return it.get(); });
  if (found == comm.windows.end()) return refuse(comm, "no such window");
  found->reset();
  return ncclSuccess;
}

// ---- The end

ncclResult_t NcclClique::finalize(NcclCommOnCpu& comm) {
  const std::lock_guard lock(mutex_);
  if (const ncclResult_t result = expect_ready(comm); result != ncclSuccess) return result;
  if (std::ranges::any_of(comm.windows, [](const auto& it) { return it != nullptr; })) {
    return refuse(comm, "windows are left");
  }
  comm.phase = Phase::kFinalizing;
  return ncclInProgress;
}

ncclResult_t NcclClique::destroy(NcclCommOnCpu& comm) {
  const std::lock_guard lock(mutex_);
  if (comm.phase != Phase::kFinalized) return refuse(comm, "destroyed before it was finalized");
  comm.phase = Phase::kEnded;
  return ncclSuccess;
}

void NcclClique::abort(NcclCommOnCpu& comm) {
  {
    const std::lock_guard lock(mutex_);
    if (comm.error == ncclSuccess) fail(comm, ncclSystemError, "aborted");
    comm.phase = Phase::kEnded;
    changed_.notify_all();
  }
  while (comm.captured.use_count() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// ---- States

ncclResult_t NcclClique::ready(NcclCommOnCpu& comm) {
  const std::lock_guard lock(mutex_);
  return expect_ready(comm);
}

ncclResult_t NcclClique::expect_ready(NcclCommOnCpu& comm) {
  if (comm.phase == Phase::kReady) return ncclSuccess;
  return comm.phase == Phase::kFailed ? comm.error : refuse(comm, "a call while another one is under way");
}

bool NcclClique::all(Phase phase) const {
  return std::ranges::all_of(comms_, [&](const auto& it) { return it->phase == phase; });
}

// Of ranks that have ended in an error.
std::string NcclClique::gone() const {
  for (const auto& it : comms_) {
    if (it != nullptr && it->phase == Phase::kEnded && it->error != ncclSuccess)
      return "rank " + std::to_string(it->rank) + " is gone";
  }
  return "";
}

void NcclClique::fail(NcclCommOnCpu& comm, ncclResult_t error, const std::string& text) {
  if (comm.phase >= Phase::kFailed) return;  // the first error counts
  comm.phase = Phase::kFailed;
  comm.error = error;
  comm.error_text = text;
  changed_.notify_all();
}

ncclResult_t NcclClique::refuse(NcclCommOnCpu& comm, const std::string& text) {
  fail(comm, ncclInvalidUsage, text);
  return ncclInvalidUsage;
}

}  // namespace convoy::cuda_on_cpu
