#include <map>

#include "core/device/stream_cuda.h"
#include "dist/collective_queue.h"
#include "dist/device_communicator.h"
#include "dist/nccl_connection_cuda.h"
#include "dist/nccl_cuda.h"

namespace convoy {
namespace {

ncclDataType_t nccl_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32: return ncclFloat32;
    case Dtype::kBF16: return ncclBfloat16;
    case Dtype::kF16: return ncclFloat16;
    case Dtype::kU8: return ncclUint8;
    case Dtype::kI32: return ncclInt32;
  }
  throw InternalError("no such dtype");
}

// The communicator's stream.  Whoever waits for it hears of what ended its work.
class NcclStream : public CudaStream {
 public:
  explicit NcclStream(NcclConnection& connection) : CudaStream(true), connection_(connection) {}
  void synchronize() override {
    CudaStream::synchronize();
    connection_.poll();
  }

 private:
  NcclConnection& connection_;
};

// Memory that NCCL reads and writes in place on all ranks.
class NcclAllocator : public Allocator {
 public:
  NcclAllocator(NcclConnection& connection, bool symmetric) : connection_(connection), symmetric_(symmetric) {}

  void* allocate(int64_t bytes) override {
    const auto size = static_cast<size_t>(bytes);
    Handle<void*, ncclMemFree> memory;
    connection_.call_on_all_ranks(
        "no " + std::to_string(bytes) + " bytes of GPU memory for gradients",
        [&](ncclComm_t) { return ncclMemAlloc(memory.out(), size); }, ExitCode::kOutOfMemory);
    void* data = memory.get();
    Region& region = regions_[data];
    region.memory = std::move(memory);
    connection_.call_on_all_ranks("gradient memory cannot be registered", [&](ncclComm_t comm) {
      return symmetric_ ? ncclCommWindowRegister(comm, data, size, &region.window, NCCL_WIN_COLL_SYMMETRIC)
                        : ncclCommRegister(comm, data, size, &region.registration);
    });
    in_windows_ = region.window != nullptr;
    check(cudaMemset(data, 0, size));
    check(cudaDeviceSynchronize());  // our streams do not wait for the one that cudaMemset uses
    return data;
  }

  void deallocate(void* data, int64_t) noexcept override {
    const auto region = regions_.find(data);
    connection_.release([&](ncclComm_t comm) {
      const auto& [memory, window, registration] = region->second;
      if (window != nullptr) return ncclCommWindowDeregister(comm, window);
      return registration == nullptr ? ncclSuccess : ncclCommDeregister(comm, registration);
    });
    regions_.erase(region);
  }

  bool in_windows() const { return in_windows_; }

 private:
  struct Region {
    Handle<void*, ncclMemFree> memory;
    ncclWindow_t window = nullptr;
    void* registration = nullptr;
  };
  NcclConnection& connection_;
  const bool symmetric_;
  bool in_windows_ = false;
  std::map<void*, Region> regions_;  // NCCL fills in `window` some time after the call: regions stay where they are
};

class NcclCommunicator : public DeviceCommunicator {
 public:
  NcclCommunicator(Communicator& host, const NcclOptions& options)
      : DeviceCommunicator(host),
        connection_(host),
        stream_(connection_),
        allocator_(connection_, options.symmetric && host.size() > 1) {}
  ~NcclCommunicator() override { connection_.close(); }  // before its stream goes

  std::string name() const override {
    int version = 0;
    ncclGetVersion(&version);
    return "nccl " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
           std::to_string(version % 100) + (allocator_.in_windows() ? " (symmetric window)" : "");
  }
  Allocator& allocator() override { return allocator_; }
  Stream& stream() override { return stream_; }

  void all_reduce_sum(Tensor inout) override {
    const Vector it(inout);
    connection_.call([&](ncclComm_t comm) {
      return ncclAllReduce(it.at(0), it.at(0), it.elements, it.type, ncclSum, comm, queue());
    });
  }

  // NCCL cuts into equal parts only; others are a reduction, or a broadcast, for each rank, in one launch.
  void reduce_scatter_sum(Tensor inout) override {
    const Vector it(inout);
    connection_.call([&](ncclComm_t comm) {
      if (it.equal_parts(size())) {
        const ElementRange mine = part(rank(), it);
        return ncclReduceScatter(it.at(0), it.at(mine.begin), static_cast<size_t>(mine.size()), it.type, ncclSum, comm,
                                 queue());
      }
      return for_each_part(it, [&](void* part, size_t elements, int root) {
        return ncclReduce(part, part, elements, it.type, ncclSum, root, comm, queue());
      });
    });
  }
  void all_gather(Tensor inout) override {
    const Vector it(inout);
    connection_.call([&](ncclComm_t comm) {
      if (it.equal_parts(size())) {
        const ElementRange mine = part(rank(), it);
        return ncclAllGather(it.at(mine.begin), it.at(0), static_cast<size_t>(mine.size()), it.type, comm, queue());
      }
      return for_each_part(it, [&](void* part, size_t elements, int root) {
        return ncclBroadcast(part, part, elements, it.type, root, comm, queue());
      });
    });
  }
  void broadcast(Tensor inout, int root) override {
    CHECK(root >= 0 && root < size(), "no such root");
    const Vector it(inout);
    connection_.call(
        [&](ncclComm_t comm) { return ncclBroadcast(it.at(0), it.at(0), it.elements, it.type, root, comm, queue()); });
  }
  std::unique_ptr<Event> make_event() override { return std::make_unique<CudaEvent>(); }
  void progress() override { connection_.poll(); }
  int64_t in_flight() override { return 0; }
  std::string order_of_sums() const override { return "of NCCL"; }
  bool cuts_change_bits() const override { return true; }  // a ring adds each piece of a tensor in another order
  bool capturable() const override { return true; }

 private:
  // A tensor as NCCL sees it.
  struct Vector {
    explicit Vector(const Tensor& tensor)
        : data(tensor.as<std::byte>()),
          elements(static_cast<size_t>(tensor.type.shape.elements())),
          type(nccl_type(tensor.type.dtype)),
          element_bytes(size_of(tensor.type.dtype)) {
      CHECK(tensor.type.layout.canonical(), "collectives take canonical tensors");
    }
    void* at(int64_t element) const { return data + element * element_bytes; }
    bool equal_parts(int ranks) const { return elements % static_cast<size_t>(ranks) == 0; }
    std::byte* data;
    size_t elements;
    ncclDataType_t type;
    int64_t element_bytes;
  };

  cudaStream_t queue() const { return stream_.get(); }

  ElementRange part(int rank, const Vector& it) const {
    return part_of_rank(rank, size(), static_cast<int64_t>(it.elements));
  }

  template <class Call>
  ncclResult_t for_each_part(const Vector& it, Call call) const {
    ncclResult_t result = ncclGroupStart();
    for (int r = 0; r < size() && !is_error(result); ++r) {
      const ElementRange range = part(r, it);
      if (range.size() > 0) result = call(it.at(range.begin), static_cast<size_t>(range.size()), r);
    }
    const ncclResult_t end = ncclGroupEnd();  // after an error too: else the group would swallow the next calls
    return is_error(result) ? result : end;
  }

  NcclConnection connection_;
  NcclStream stream_;
  NcclAllocator allocator_;
};

}  // namespace

std::unique_ptr<Communicator> nccl_communicator(Communicator& host, Device&, const NcclOptions& options) {
  return std::make_unique<NcclCommunicator>(host, options);
}

}  // namespace convoy
