#include "dist/staged.h"

#include <functional>

#include "dist/device_communicator.h"

namespace convoy {
namespace {

class StagedCommunicator : public DeviceCommunicator {
 public:
  StagedCommunicator(Communicator& host, Device& device)
      : DeviceCommunicator(host), device_(device), stream_(device.make_stream()) {}

  std::string name() const override {
    return size() == 1 ? host().name() : "staged through host memory: " + host().name();
  }
  Allocator& allocator() override { return device_.allocator(); }

  Stream& stream() override { return *stream_; }
  void all_reduce_sum(Tensor inout) override {
    on_host(inout, [this](Tensor it) { host().all_reduce_sum(it); });
  }
  void reduce_scatter_sum(Tensor inout) override {
    on_host(inout, [this](Tensor it) { host().reduce_scatter_sum(it); });
  }
  void all_gather(Tensor inout) override {
    on_host(inout, [this](Tensor it) { host().all_gather(it); });
  }
  void broadcast(Tensor inout, int root) override {
    on_host(inout, [this, root](Tensor it) { host().broadcast(it, root); });
  }
  std::unique_ptr<Event> make_event() override { return device_.make_event(); }
  void progress() override {}
  int64_t in_flight() override { return 0; }

 private:
  void on_host(Tensor inout, const std::function<void(Tensor)>& collective) {
    const int64_t bytes = inout.type.bytes();
    if (bytes > staging_.bytes()) {
      staging_ = {};  // before the larger one is there
      staging_ = Buffer(device_.host_allocator(), bytes);
    }
    device_.copy(staging_.data(), inout.data, bytes, *stream_);
    stream_->synchronize();
    collective({staging_.data(), inout.type});
    host().stream().synchronize();
    device_.copy(inout.data, staging_.data(), bytes, *stream_);
    stream_->synchronize();
  }

  Device& device_;
  const std::unique_ptr<Stream> stream_;
  Buffer staging_;  // as large as the largest tensor so far
};

}  // namespace

std::unique_ptr<Communicator> make_staged_communicator(Communicator& host, Device& device) {
  return std::make_unique<StagedCommunicator>(host, device);
}

}  // namespace convoy
