// The progress thread: blocking MPI collectives, in order, on a thread of their own.
#include <climits>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "dist/backoff.h"
#include "dist/mpi_handles.h"
#include "dist/mpi_transport.h"

namespace convoy {
namespace {

// inout = in + inout, added in f32 and rounded once per hop.
void sum_bf16(void* in, void* inout, int* count, MPI_Datatype*) {
  const auto* a = static_cast<const uint16_t*>(in);
  auto* b = static_cast<uint16_t*>(inout);
  for (int i = 0; i < *count; ++i) b[i] = f32_to_bf16(bf16_to_f32(a[i]) + bf16_to_f32(b[i]));
}

// The collectives themselves, on one communicator.  Used by one thread at a time.
class MpiCollectives {
 public:
  explicit MpiCollectives(MPI_Comm comm) : comm_(MpiComm::duplicate(comm)), rank_(comm_.rank()), size_(comm_.size()) {
    check(MPI_Op_create(sum_bf16, /*commute=*/1, &sum_bf16_));
  }
  ~MpiCollectives() { MPI_Op_free(&sum_bf16_); }
  MpiCollectives(const MpiCollectives&) = delete;
  MpiCollectives& operator=(const MpiCollectives&) = delete;

  // False if `stop` was requested before all ranks had come.  A blocking MPI call spins, and would take a core from
  // the ranks that still compute; so it begins only when all are there.
  bool meet(const std::stop_token& stop) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ibarrier(comm_.get(), &request));
    Backoff backoff(0, 20);
    for (int done = 0; !stop.stop_requested(); backoff.wait()) {
      check(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
      if (done != 0) return true;
    }
    return false;
  }

  void run(const Collective& collective) {
    const auto& [kind, tensor, root] = collective;
    const Dtype dtype = tensor.type.dtype;
    const auto count = static_cast<int>(tensor.type.shape.elements());
    switch (kind) {
      case Collective::Kind::kAllReduce:
        return check(MPI_Allreduce(MPI_IN_PLACE, tensor.data, count, type(dtype), sum(dtype), comm_.get()));
      case Collective::Kind::kReduceScatter: return reduce_scatter(tensor);
      case Collective::Kind::kAllGather: return all_gather(tensor);
      case Collective::Kind::kBroadcast: return check(MPI_Bcast(tensor.data, count, type(dtype), root, comm_.get()));
    }
  }

 private:
  static MPI_Datatype type(Dtype dtype) {
    switch (dtype) {
      case Dtype::kF32: return MPI_FLOAT;
      case Dtype::kI32: return MPI_INT32_T;
      case Dtype::kBF16:
      case Dtype::kF16: return MPI_UINT16_T;
      case Dtype::kU8: return MPI_UINT8_T;
    }
    return MPI_DATATYPE_NULL;
  }
  MPI_Op sum(Dtype dtype) const { return dtype == Dtype::kBF16 ? sum_bf16_ : MPI_SUM; }

  // Fills counts_ and offsets_ with every rank's part; returns this rank's.
  ElementRange cut(const Tensor& tensor) {
    counts_.clear();
    offsets_.clear();
    for (int r = 0; r < size_; ++r) {
      const ElementRange part = part_of_rank(r, size_, tensor.type.shape.elements());
      counts_.push_back(static_cast<int>(part.size()));
      offsets_.push_back(static_cast<int>(part.begin));
    }
    return part_of_rank(rank_, size_, tensor.type.shape.elements());
  }

  void reduce_scatter(const Tensor& tensor) {
    const ElementRange mine = cut(tensor);
    const Dtype dtype = tensor.type.dtype;
    // MPI's in-place form would put the sum at the start of the tensor instead of into this rank's part.
    part_.resize(static_cast<size_t>(mine.size() * size_of(dtype)));
    check(MPI_Reduce_scatter(tensor.data, part_.data(), counts_.data(), type(dtype), sum(dtype), comm_.get()));
    std::ranges::copy(part_, tensor.as<std::byte>() + mine.begin * size_of(dtype));
  }

  void all_gather(const Tensor& tensor) {
    cut(tensor);
    check(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, tensor.data, counts_.data(), offsets_.data(),
                         type(tensor.type.dtype), comm_.get()));
  }

  MpiComm comm_;
  const int rank_, size_;
  MPI_Op sum_bf16_ = MPI_OP_NULL;
  std::vector<int> counts_, offsets_;
  std::vector<std::byte> part_;
};

class ProgressThread : public CollectiveQueue {
 public:
  explicit ProgressThread(MPI_Comm comm) : collectives_(comm) {}

  void enqueue(const Collective& collective) override {
    CHECK(collective.tensor.type.shape.elements() <= INT_MAX, "MPI counts in int");
    const std::lock_guard lock(mutex_);
    queue_.push_back(collective);
    work_.notify_one();
  }
  void progress() override {}
  int64_t in_flight() override {
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(queue_.size());
  }
  void synchronize() override {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return queue_.empty() || error_; });
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void loop(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (work_.wait(lock, stop, [this] { return !queue_.empty(); })) {
      const Collective next = queue_.front();
      lock.unlock();
      std::exception_ptr error;
      try {
        if (!collectives_.meet(stop)) return;
        collectives_.run(next);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      error_ = error;
      queue_.pop_front();
      if (queue_.empty() || error_) idle_.notify_all();
      if (error_) return;
    }
  }

  MpiCollectives collectives_;
  std::mutex mutex_;
  std::condition_variable_any work_, idle_;
  // Guarded by mutex_.  The front is the one that runs.
  std::deque<Collective> queue_;
  std::exception_ptr error_;
  std::jthread thread_{[this](const std::stop_token& stop) { loop(stop); }};  // last: stops before the rest goes
};

class ProgressThreadTransport : public MpiTransportLayer {
 public:
  ProgressThreadTransport(MPI_Comm comm, const std::string& why)
      : name_("mpi (progress thread: " + why + ")"), queue_(comm) {}
  CollectiveQueue& queue() override { return queue_; }
  Allocator& allocator() override { return *memory_; }
  std::string name() const override { return name_; }
  void fail() noexcept override {}

 private:
  const std::string name_;
  std::unique_ptr<Allocator> memory_ = make_host_allocator();
  ProgressThread queue_;
};

}  // namespace

std::unique_ptr<MpiTransportLayer> make_progress_thread_transport(MPI_Comm comm, const std::string& why) {
  return std::make_unique<ProgressThreadTransport>(comm, why);
}

}  // namespace convoy
