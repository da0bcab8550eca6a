// Ranks as processes started by mpirun or srun.  The only door to MPI; mpi.h itself stays inside dist/mpi_*.cpp.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "dist/communicator.h"

namespace convoy {

// The environment variable in which a launcher (mpirun, srun) told this process its rank; null: none started it.
const char* rank_variable();

class MpiComm;
struct MpiOptions;

// MPI from first to last use.  One per process, made before and destroyed after everything else that uses MPI, in the
// thread that made it.  Where MPI is initialised already (test programs), it is used and left running.
// Rank and place come from MPI itself: the environment variables differ from launcher to launcher.
class MpiSession : public RankGroup {
 public:
  // Throws Error(kUnavailable).
  MpiSession();
  // Waits for all ranks, except while an exception is on its way out: then a rank that still waits for this one would
  // wait for ever, and the launcher ends it when it sees this rank leave.
  ~MpiSession() override;
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  // Collective.  The ranks that call it with the same `part` >= 0, in the order of their ranks, as a session of their
  // own, which this one must outlive.  abort() ends all ranks all the same.
  std::unique_ptr<MpiSession> split(int part);

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::vector<std::string> all_gather_bytes(const std::string& mine) override;
  // Collective.  As a barrier, but a rank that waits leaves its processor to others.
  void wait_asleep();
  int local_rank() const { return local_rank_; }  // among the ranks of this host
  int local_size() const { return local_size_; }
  int hosts() const { return hosts_; }
  // Whether several threads may call MPI at once; the progress thread needs it.
  bool threads() const { return threads_; }
  static std::string library();  // "Open MPI v4.1.4"
  // MPI_Abort: ends all ranks, with no more ado.
  [[noreturn]] void abort(ExitCode code) noexcept;

 private:
  friend std::unique_ptr<Communicator> make_mpi_communicator(MpiSession& session, const MpiOptions& options);
  friend class MpiCommunicator;
  explicit MpiSession(MpiComm comm);
  void find_place();

  bool owns_ = false;   // MPI itself
  int exceptions_ = 0;  // on their way when it was made
  std::unique_ptr<MpiComm> comm_;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1, hosts_ = 1;
  bool threads_ = false;
};

enum class MpiTransport {
  kAuto,           // the first that can be had: shared window, hierarchical, progress thread
  kShared,         // all ranks are on one host: sums in place in memory that they all map
  kHierarchical,   // hosts with as many ranks each: the shared window in a host, messages between hosts
  kProgressThread  // messages between all, on a thread of their own, because MPI makes no progress between calls
};

struct MpiOptions {
  MpiTransport transport = MpiTransport::kAuto;
  // At most so much of /dev/shm for all ranks together.  What does not fit is private memory, and copied.
  int64_t shared_bytes = std::numeric_limits<int64_t>::max();
  // For tests: so many ranks, in their order, are taken to share a host.  0: those that do.
  int ranks_per_host = 0;
};

// Collective.  name() tells the transport, why it was not the shared window, and what did not fit.
// A single rank gets the solo communicator.  The session must outlive it.  Destroy it with no work enqueued; memory of
// its allocator goes back to the system only then.
// Throws Error(kUnavailable) where the transport asked for cannot be had.
std::unique_ptr<Communicator> make_mpi_communicator(MpiSession& session, const MpiOptions& options = {});

}  // namespace convoy
