#include "dist/collective_queue.h"

#include "dist/rank_sum.h"

namespace convoy {

const char* to_string(Collective::Kind kind) {
  switch (kind) {
    case Collective::Kind::kAllReduce: return "all_reduce";
    case Collective::Kind::kReduceScatter: return "reduce_scatter";
    case Collective::Kind::kAllGather: return "all_gather";
    case Collective::Kind::kBroadcast: return "broadcast";
  }
  return "?";
}

namespace {

class QueueEvent : public Event {
 public:
  explicit QueueEvent(CollectiveQueue& queue) : queue_(queue) {}
  void record(Stream& stream) override {
    CHECK(&stream == &queue_, "this event marks points of a communicator's stream");
    mark_ = queue_.mark();
  }
  void wait() override { queue_.wait_past(mark_); }

 private:
  CollectiveQueue& queue_;
  uint64_t mark_ = 0;
};

}  // namespace

void add_time(std::vector<double>& times, double seconds) {
  constexpr size_t kMost = 65536;
  if (times.size() == kMost) times.clear();
  times.push_back(seconds);
}

std::unique_ptr<Event> QueueCommunicator::make_event() { return std::make_unique<QueueEvent>(queue()); }

void QueueCommunicator::enqueue(const Collective& collective) {
  const auto& [kind, tensor, root] = collective;
  const bool sums = kind == Collective::Kind::kAllReduce || kind == Collective::Kind::kReduceScatter;
  CHECK(tensor.type.layout.canonical(), "collectives take canonical tensors");
  CHECK(!sums || has_sum(tensor.type.dtype), "sums over ranks are of f32, bf16 or i32");
  CHECK(root >= 0 && root < size(), "no such root");
  if (tensor.type.shape.elements() > 0) queue().enqueue(collective);
}

}  // namespace convoy
