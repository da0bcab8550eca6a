// Several hosts with as many ranks each: ranks of a host meet in its shared window, and each then talks to one rank of
// every other host only.  Of h hosts each sends 2(h-1)/h of a tensor, however many ranks it has.
#include "dist/backoff.h"
#include "dist/mpi_exchange.h"
#include "dist/mpi_transport.h"
#include "dist/progress_thread.h"

namespace convoy {
namespace {

// Those of every rank, one behind the other; all have as many.
std::vector<int> all_gather(MPI_Comm comm, const std::vector<int>& mine) {
  int size = 0;
  check(MPI_Comm_size(comm, &size));
  std::vector<int> all(mine.size() * static_cast<size_t>(size));
  const auto count = static_cast<int>(mine.size());
  check(MPI_Allgather(mine.data(), count, MPI_INT, all.data(), count, MPI_INT, comm));
  return all;
}

class HierarchicalTransport : public MpiTransportLayer, private CollectiveRunner, private Allocator {
 public:
  // `window` among the ranks of `local`; `rail` are the ranks that have this one's place in their host.
  HierarchicalTransport(MPI_Comm comm, const MpiComm& local, const MpiComm& rail,
                        std::unique_ptr<MpiTransportLayer> window)
      : local_rank_(local.rank()), local_size_(local.size()), window_(std::move(window)), rail_(rail.get()) {
    int rank = 0;
    check(MPI_Comm_rank(comm, &rank));
    ranks_ = all_gather(local.get(), all_gather(rail.get(), {rank}));
  }

  CollectiveQueue& queue() override { return queue_; }
  Allocator& allocator() override { return *this; }
  std::string name() const override {
    return "mpi (ranks are on " + std::to_string(rail_.size()) +
           " hosts: progress thread between them; in each: " + window_->name() + ")";
  }
  std::string order_of_sums() const override {
    return "by host, " + std::to_string(rail_.size()) + " of " + std::to_string(local_size_);
  }
  void fail() noexcept override {}

 private:
  // The progress thread uses the window too; it has nothing to do meanwhile.
  void* allocate(int64_t bytes) override {
    queue_.synchronize();
    return window_->allocator().allocate(bytes);
  }
  void deallocate(void* data, int64_t bytes) noexcept override {
    if (queue_.in_flight() == 0) window_->allocator().deallocate(data, bytes);  // else this rank unwinds
  }

  bool run(const Collective& collective, const std::stop_token& stop) override {
    switch (collective.kind) {
      case Collective::Kind::kAllReduce: return all_reduce(collective.tensor, stop);
      case Collective::Kind::kReduceScatter: return reduce_scatter(collective.tensor, stop);
      case Collective::Kind::kAllGather: return all_gather_parts(collective.tensor, stop);
      case Collective::Kind::kBroadcast: return broadcast(collective.tensor, collective.root, stop);
    }
    return false;
  }

  bool all_reduce(const Tensor& tensor, const std::stop_token& stop) {
    const ElementRange mine = part_of_rank(local_rank_, local_size_, tensor.type.shape.elements());
    return in_window({Collective::Kind::kReduceScatter, tensor}, stop) &&
           (mine.size() == 0 || rail_.all_reduce(slice(tensor, mine), stop)) &&
           in_window({Collective::Kind::kAllGather, tensor}, stop);
  }

  bool reduce_scatter(const Tensor& tensor, const std::stop_token& stop) {
    return in_window({Collective::Kind::kAllReduce, tensor}, stop) &&
           rail_.reduce_scatter(tensor, parts_of_rail(tensor), stop);
  }

  bool all_gather_parts(const Tensor& tensor, const std::stop_token& stop) {
    if (!rail_.all_gather(tensor, parts_of_rail(tensor), stop)) return false;
    for (int place = 0; place < local_size_; ++place) {
      for (int host = 0; host < rail_.size(); ++host) {
        const Tensor part = slice(tensor, part_of(rank_at(place, host), tensor));
        if (part.type.shape.elements() == 0) continue;
        window_->queue().enqueue({Collective::Kind::kBroadcast, part, place});
      }
    }
    return finish(stop);
  }

  bool broadcast(const Tensor& tensor, int root, const std::stop_token& stop) {
    const auto found = std::ranges::find(ranks_, root) - ranks_.begin();
    const auto place = static_cast<int>(found) / rail_.size(), host = static_cast<int>(found) % rail_.size();
    return (place != local_rank_ || rail_.broadcast(tensor, host, stop)) &&
           in_window({Collective::Kind::kBroadcast, tensor, place}, stop);
  }

  bool in_window(const Collective& collective, const std::stop_token& stop) {
    window_->queue().enqueue(collective);
    return finish(stop);
  }
  bool finish(const std::stop_token& stop) {
    CollectiveQueue& window = window_->queue();
    Backoff backoff(0, 200);
    for (window.progress(); window.in_flight() > 0; window.progress()) {
      if (stop.stop_requested()) return false;
      backoff.wait();
    }
    return true;
  }

  int rank_at(int place, int host) const {
    return ranks_[static_cast<size_t>(place) * static_cast<size_t>(rail_.size()) + static_cast<size_t>(host)];
  }
  ElementRange part_of(int rank, const Tensor& tensor) const {
    return part_of_rank(rank, static_cast<int>(ranks_.size()), tensor.type.shape.elements());
  }
  std::vector<ElementRange> parts_of_rail(const Tensor& tensor) const {
    std::vector<ElementRange> parts;
    for (int host = 0; host < rail_.size(); ++host) parts.push_back(part_of(rank_at(local_rank_, host), tensor));
    return parts;
  }
  static Tensor slice(const Tensor& tensor, const ElementRange& range) {
    return {tensor.as<std::byte>() + range.begin * size_of(tensor.type.dtype),
            {{1, 1, 1, static_cast<int>(range.size())}, tensor.type.dtype}};
  }

  const int local_rank_, local_size_;
  std::vector<int> ranks_;  // [place in the host][host], the hosts in the order of the rail
  std::unique_ptr<MpiTransportLayer> window_;
  MpiExchange rail_;
  ProgressThread queue_{*this};
};

int least(MPI_Comm comm, int mine) {
  check(MPI_Allreduce(MPI_IN_PLACE, &mine, 1, MPI_INT, MPI_MIN, comm));
  return mine;
}

}  // namespace

std::unique_ptr<MpiTransportLayer> make_hierarchical_transport(MPI_Comm comm, int ranks_per_host, int64_t shared_bytes,
                                                               std::string& why) {
  int rank = 0;
  check(MPI_Comm_rank(comm, &rank));
  const MpiComm local = ranks_per_host > 0 ? MpiComm::split(comm, rank / ranks_per_host) : MpiComm::local(comm);
  const int fewest = least(comm, local.size()), most = -least(comm, -local.size());
  if (fewest != most || most == 1) {
    why += ", " + (fewest == most ? "one rank" : std::to_string(fewest) + " to " + std::to_string(most)) + " on each";
    return nullptr;
  }
  int first = rank;  // of the host: in every rail hosts have the order of these
  check(MPI_Bcast(&first, 1, MPI_INT, 0, local.get()));
  const MpiComm rail = MpiComm::split(comm, local.rank(), first);
  std::string shortage;
  std::unique_ptr<MpiTransportLayer> window = make_window_transport(local.get(), shared_bytes, shortage);
  if (least(comm, window != nullptr ? 1 : 0) != 0) {
    return std::make_unique<HierarchicalTransport>(comm, local, rail, std::move(window));
  }
  why += shortage.empty() ? "; another host has no room in /dev/shm" : "; " + shortage;
  return nullptr;
}

}  // namespace convoy
