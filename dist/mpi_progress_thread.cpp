// Every rank exchanges messages with every other, on a progress thread.
#include "dist/mpi_exchange.h"
#include "dist/mpi_transport.h"
#include "dist/progress_thread.h"

namespace convoy {
namespace {

class ProgressThreadTransport : public MpiTransportLayer, private CollectiveRunner, private Allocator {
 public:
  ProgressThreadTransport(MPI_Comm comm, const std::string& why)
      : name_("mpi (progress thread: " + why + ")"), exchange_(comm) {}
  CollectiveQueue& queue() override { return queue_; }
  Allocator& allocator() override { return *this; }
  std::string name() const override { return name_; }
  void fail() noexcept override {}

 private:
  void* allocate(int64_t bytes) override { return memory_->allocate(bytes); }
  // While the thread works on it, this rank unwinds: then memory goes with the process.
  void deallocate(void* data, int64_t bytes) noexcept override {
    if (queue_.in_flight() == 0) memory_->deallocate(data, bytes);
  }

  bool run(const Collective& collective, const std::stop_token& stop) override {
    const auto& [kind, tensor, root] = collective;
    const std::vector<ElementRange> parts = parts_of_ranks(exchange_.size(), tensor.type.shape.elements());
    switch (kind) {
      case Collective::Kind::kAllReduce: return exchange_.all_reduce(tensor, stop);
      case Collective::Kind::kReduceScatter: return exchange_.reduce_scatter(tensor, parts, stop);
      case Collective::Kind::kAllGather: return exchange_.all_gather(tensor, parts, stop);
      case Collective::Kind::kBroadcast: return exchange_.broadcast(tensor, root, stop);
    }
    return false;
  }

  const std::string name_;
  std::unique_ptr<Allocator> memory_ = make_host_allocator();
  MpiExchange exchange_;
  ProgressThread queue_{*this};
};

}  // namespace

std::unique_ptr<MpiTransportLayer> make_progress_thread_transport(MPI_Comm comm, const std::string& why) {
  return std::make_unique<ProgressThreadTransport>(comm, why);
}

}  // namespace convoy
