#include "dist/mpi.h"

#include <chrono>
#include <cstdlib>
#include <numeric>
#include <thread>

#include "dist/mpi_handles.h"
#include "dist/mpi_transport.h"

namespace convoy {

class MpiCommunicator : public QueueCommunicator {
 public:
  MpiCommunicator(MpiSession& session, std::unique_ptr<MpiTransportLayer> transport)
      : session_(session), transport_(std::move(transport)) {}

  int rank() const override { return session_.rank(); }
  int size() const override { return session_.size(); }
  int local_rank() const override { return session_.local_rank(); }
  int local_size() const override { return session_.local_size(); }
  std::string name() const override { return transport_->name(); }
  std::string order_of_sums() const override { return transport_->order_of_sums(); }
  Allocator& allocator() override { return transport_->allocator(); }

  void barrier() override {
    queue().synchronize();  // a rank that blocks in MPI does not move the shared window on
    check(MPI_Barrier(session_.comm_->get()));
  }
  std::vector<std::string> all_gather_bytes(const std::string& mine) override {
    queue().synchronize();
    return session_.all_gather_bytes(mine);
  }
  std::string broadcast_bytes(const std::string& mine, int root) override;
  [[noreturn]] void abort(ExitCode code) noexcept override {
    transport_->fail();
    session_.abort(code);
  }

 private:
  CollectiveQueue& queue() override { return transport_->queue(); }

  MpiSession& session_;
  std::unique_ptr<MpiTransportLayer> transport_;
};

std::string MpiCommunicator::broadcast_bytes(const std::string& mine, int root) {
  queue().synchronize();
  std::string bytes = rank() == root ? mine : "";
  auto length = static_cast<int>(bytes.size());
  check(MPI_Bcast(&length, 1, MPI_INT, root, session_.comm_->get()));
  bytes.resize(static_cast<size_t>(length));
  check(MPI_Bcast(bytes.data(), length, MPI_BYTE, root, session_.comm_->get()));
  return bytes;
}

namespace {

// A process on its own needs neither networks nor a daemon that would start others: with them Open MPI 4.1 takes 0.3 s
// to start, without 0.02 s.
void start_small() {
  if (rank_variable() != nullptr) return;
  setenv("OMPI_MCA_pml", "ob1", 0);
  setenv("OMPI_MCA_btl", "self", 0);  // else it listens for others
  setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
}

}  // namespace

const char* rank_variable() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}) {
    if (std::getenv(name) != nullptr) return name;
  }
  return nullptr;
}

MpiSession::MpiSession() : exceptions_(std::uncaught_exceptions()) {
  int initialized = 0, provided = 0;
  check(MPI_Initialized(&initialized));
  owns_ = initialized == 0;
  if (owns_) start_small();
  if (owns_) check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided));
  check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  comm_ = std::make_unique<MpiComm>(MpiComm::duplicate(MPI_COMM_WORLD));
  find_place();
}

MpiSession::MpiSession(MpiComm comm)
    : exceptions_(std::uncaught_exceptions()), comm_(std::make_unique<MpiComm>(std::move(comm))) {
  find_place();
}

void MpiSession::find_place() {
  int provided = 0;
  check(MPI_Query_thread(&provided));
  threads_ = provided == MPI_THREAD_MULTIPLE;
  rank_ = comm_->rank();
  size_ = comm_->size();
  const MpiComm local = MpiComm::local(comm_->get());
  local_rank_ = local.rank();
  local_size_ = local.size();
  hosts_ = local_rank_ == 0 ? 1 : 0;
  check(MPI_Allreduce(MPI_IN_PLACE, &hosts_, 1, MPI_INT, MPI_SUM, comm_->get()));
}

MpiSession::~MpiSession() {
  comm_.reset();
  if (owns_ && std::uncaught_exceptions() == exceptions_) MPI_Finalize();
}

std::unique_ptr<MpiSession> MpiSession::split(int part) {
  return std::unique_ptr<MpiSession>(new MpiSession(MpiComm::split(comm_->get(), part)));
}

void MpiSession::wait_asleep() {
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Ibarrier(comm_->get(), &request));
  for (int done = 0;;) {
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (done != 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::vector<std::string> MpiSession::all_gather_bytes(const std::string& mine) {
  const auto ranks = static_cast<size_t>(size_);
  std::vector<int> lengths(ranks), offsets(ranks);
  const auto length = static_cast<int>(mine.size());
  check(MPI_Allgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, comm_->get()));
  std::exclusive_scan(lengths.begin(), lengths.end(), offsets.begin(), 0);
  std::string all(static_cast<size_t>(offsets.back() + lengths.back()), '\0');
  check(MPI_Allgatherv(mine.data(), length, MPI_BYTE, all.data(), lengths.data(), offsets.data(), MPI_BYTE,
                       comm_->get()));
  std::vector<std::string> by_rank;
  for (size_t r = 0; r < ranks; ++r) {
    by_rank.push_back(all.substr(static_cast<size_t>(offsets[r]), static_cast<size_t>(lengths[r])));
  }
  return by_rank;
}

std::string MpiSession::library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  check(MPI_Get_library_version(text, &length));
  const std::string version(text, static_cast<size_t>(length));
  return version.substr(0, version.find_first_of(",\n"));
}

void MpiSession::abort(ExitCode code) noexcept {
  MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  std::_Exit(static_cast<int>(code));  // MPI_Abort may return where the launcher is already gone
}

std::unique_ptr<Communicator> make_mpi_communicator(MpiSession& session, const MpiOptions& options) {
  if (session.size() == 1) return make_solo_communicator();
  const MPI_Comm comm = session.comm_->get();
  const MpiTransport wanted = options.transport;
  const bool may_choose = wanted == MpiTransport::kAuto;
  const bool several_hosts = session.hosts() > 1 || options.ranks_per_host > 0;
  std::string why = several_hosts ? "ranks are on " + std::to_string(session.hosts()) + " hosts" : "";
  std::unique_ptr<MpiTransportLayer> transport;
  if ((may_choose || wanted == MpiTransport::kShared) && !several_hosts) {
    transport = make_window_transport(comm, options.shared_bytes, why);
  }
  if (!transport && wanted == MpiTransport::kShared) {
    throw Error(ExitCode::kUnavailable, "the shared window cannot be had: " + why);
  }
  if (!transport && !session.threads()) {
    throw Error(ExitCode::kUnavailable,
                "this MPI library does not support MPI_THREAD_MULTIPLE, which ranks need where "
                "there is no shared window (" +
                    why + ")");
  }
  if (!transport && several_hosts && wanted != MpiTransport::kProgressThread) {
    transport = make_hierarchical_transport(comm, options.ranks_per_host, options.shared_bytes, why);
  }
  if (!transport && wanted == MpiTransport::kHierarchical) {
    throw Error(ExitCode::kUnavailable,
                "the hierarchical transport cannot be had: " + (several_hosts ? why : "all ranks are on one host"));
  }
  if (!transport) transport = make_progress_thread_transport(comm, may_choose ? why : "asked for");
  return std::make_unique<MpiCommunicator>(session, std::move(transport));
}

}  // namespace convoy
