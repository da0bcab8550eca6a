// The ranks of one communicator of the fake of NCCL, and how they meet.
#pragma once

#include <nccl.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace convoy::cuda_on_cpu {

// A collective as one rank calls it.
struct NcclCall {
  enum class Kind { kAllReduce, kReduceScatter, kAllGather, kReduce, kBroadcast } kind = Kind::kAllReduce;
  const void* from = nullptr;
  void* to = nullptr;
  size_t count = 0;
  ncclDataType_t type = ncclFloat32;
  int root = 0;
  cudaStream_t stream = nullptr;
  std::string place;  // in which window it reads, and where; set when it runs
};
std::string to_string(const NcclCall& call);  // "all_reduce of 100 f32 from window 0 + 512"

// What all ranks' calls, by rank, do.
void run_collective(const std::vector<const NcclCall*>& calls);

}  // namespace convoy::cuda_on_cpu

struct NcclWindowOnCpu {
  int number = 0;
  const std::byte* data = nullptr;
  size_t bytes = 0;
  NcclWindowOnCpu** result = nullptr;  // where the caller wants it
};

namespace convoy::cuda_on_cpu {
class NcclClique;
}

// One rank.  Lives until the process ends, so that a call that comes too late is found.
struct NcclCommOnCpu {
  enum class Phase { kStarting, kReady, kLaunching, kRegistering, kFinalizing, kFinalized, kFailed, kEnded };

  NcclCommOnCpu(convoy::cuda_on_cpu::NcclClique& its_clique, int its_rank) : clique(its_clique), rank(its_rank) {}

  convoy::cuda_on_cpu::NcclClique& clique;
  const int rank;
  const std::thread::id owner = std::this_thread::get_id();
  // Guarded by the clique's mutex.
  Phase phase = Phase::kStarting;
  ncclResult_t error = ncclSuccess;
  std::string error_text;
  bool asked = false;  // whether somebody has asked for the launching calls
  std::vector<convoy::cuda_on_cpu::NcclCall> launching;
  int calls = 0, runs = 0;
  std::vector<std::unique_ptr<NcclWindowOnCpu>> windows;  // by number; null: deregistered
  // Held by captured work: as long as there is any, NCCL's abort does not return.
  std::shared_ptr<int> captured = std::make_shared<int>(0);
};

namespace convoy::cuda_on_cpu {

class NcclClique {
 public:
  using Phase = NcclCommOnCpu::Phase;
  explicit NcclClique(int ranks) : comms_(static_cast<size_t>(ranks)) {}

  ncclComm_t join(int rank);
  ncclResult_t poll(NcclCommOnCpu& comm);
  ncclResult_t launch(NcclCommOnCpu& comm, std::vector<NcclCall> calls);
  ncclResult_t register_window(NcclCommOnCpu& comm, NcclWindowOnCpu window);
  ncclResult_t deregister_window(NcclCommOnCpu& comm, const NcclWindowOnCpu* window);
  ncclResult_t finalize(NcclCommOnCpu& comm);
  ncclResult_t destroy(NcclCommOnCpu& comm);
  void abort(NcclCommOnCpu& comm);
  ncclResult_t ready(NcclCommOnCpu& comm);

 private:
  struct Meeting {
    std::vector<const NcclCall*> calls;  // by rank; null: not here yet
    size_t arrived = 0, left = 0;
    bool done = false;
  };

  void run(NcclCommOnCpu& comm, NcclCall call);
  void meet(Meeting& meeting, int number);
  void miss(const Meeting& meeting, const std::string& what);
  void wait_for_end(NcclCommOnCpu& comm, std::unique_lock<std::mutex>& lock);
  void fail(NcclCommOnCpu& comm, ncclResult_t error, const std::string& text);
  ncclResult_t refuse(NcclCommOnCpu& comm, const std::string& text);
  ncclResult_t expect_ready(NcclCommOnCpu& comm);
  bool all(Phase phase) const;
  std::string gone() const;
  std::string place_of(const NcclCommOnCpu& comm, const void* data) const;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::vector<std::unique_ptr<NcclCommOnCpu>> comms_;  // by rank; null: not here yet
  std::map<int, Meeting> meetings_;                    // by number
};

}  // namespace convoy::cuda_on_cpu
