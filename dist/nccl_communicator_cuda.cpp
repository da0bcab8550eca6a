#include <map>

#include "core/device/stream_cuda.h"
#include "dist/backoff.h"
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

// The communicator's stream.  Whoever waits for it hears of errors: where a peer is gone, its work does not end.
class NcclStream : public CudaStream {
 public:
  explicit NcclStream(NcclConnection& connection) : CudaStream(true), connection_(connection) {}
  void synchronize() override {
    for (Backoff backoff(0, 100);; backoff.wait()) {
      connection_.poll();
      const cudaError_t status = cudaStreamQuery(get());
      if (status == cudaSuccess) return connection_.poll();  // ended, but perhaps by an error
      if (status != cudaErrorNotReady) check(status);
      cudaGetLastError();  // "not ready" is no error for who looks next
    }
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
    connection_.check_on_all_ranks("no " + std::to_string(bytes) + " bytes of GPU memory for gradients",
                                   ncclMemAlloc(memory.out(), size), ExitCode::kOutOfMemory);
    void* data = memory.get();
    Region& region = regions_[data];
    region.memory = std::move(memory);
    connection_.check_on_all_ranks(
        "gradient memory cannot be registered",
        symmetric_ ? ncclCommWindowRegister(connection_.get(), data, size, &region.window, NCCL_WIN_COLL_SYMMETRIC)
                   : ncclCommRegister(connection_.get(), data, size, &region.registration));
    in_windows_ = region.window != nullptr;
    check(cudaMemset(data, 0, size));
    check(cudaDeviceSynchronize());  // our streams do not wait for the one that cudaMemset uses
    return data;
  }

  // When the ranks are parting with an error, work that still uses the memory must be ended first.
  void deallocate(void* data, int64_t) noexcept override {
    const auto region = regions_.find(data);
    if (!connection_.healthy()) {
      connection_.abort();
    } else if (region->second.window != nullptr) {
      ncclCommWindowDeregister(connection_.get(), region->second.window);
    } else if (region->second.registration != nullptr) {
      ncclCommDeregister(connection_.get(), region->second.registration);
    }
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
    connection_.check(ncclAllReduce(it.at(0), it.at(0), it.elements, it.type, ncclSum, connection_.get(), queue()));
  }

  // NCCL cuts into equal parts only; others are a reduction, or a broadcast, for each rank, in one launch.
  void reduce_scatter_sum(Tensor inout) override {
    const Vector it(inout);
    if (it.equal_parts(size())) {
      const size_t part = it.elements / static_cast<size_t>(size());
      void* mine = it.at(rank() * static_cast<int64_t>(part));
      connection_.check(ncclReduceScatter(it.at(0), mine, part, it.type, ncclSum, connection_.get(), queue()));
    } else {
      for_each_part(it, [&](void* part, size_t elements, int root) {
        return ncclReduce(part, part, elements, it.type, ncclSum, root, connection_.get(), queue());
      });
    }
  }
  void all_gather(Tensor inout) override {
    const Vector it(inout);
    if (it.equal_parts(size())) {
      const size_t part = it.elements / static_cast<size_t>(size());
      const void* mine = it.at(rank() * static_cast<int64_t>(part));
      connection_.check(ncclAllGather(mine, it.at(0), part, it.type, connection_.get(), queue()));
    } else {
      for_each_part(it, [&](void* part, size_t elements, int root) {
        return ncclBroadcast(part, part, elements, it.type, root, connection_.get(), queue());
      });
    }
  }
  void broadcast(Tensor inout, int root) override {
    CHECK(root >= 0 && root < size(), "no such root");
    const Vector it(inout);
    connection_.check(ncclBroadcast(it.at(0), it.at(0), it.elements, it.type, root, connection_.get(), queue()));
  }
  void progress() override { connection_.poll(); }
  int64_t in_flight() override { return 0; }
  bool capturable() const override { return true; }
  [[noreturn]] void abort(ExitCode code) noexcept override {
    connection_.abort();
    DeviceCommunicator::abort(code);
  }

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

  template <class Call>
  void for_each_part(const Vector& it, Call call) {
    connection_.check(ncclGroupStart());
    ncclResult_t first_error = ncclSuccess;
    for (int r = 0; r < size(); ++r) {
      const ElementRange part = part_of_rank(r, size(), static_cast<int64_t>(it.elements));
      if (part.size() == 0) continue;
      const ncclResult_t result = call(it.at(part.begin), static_cast<size_t>(part.size()), r);
      if (result != ncclSuccess && result != ncclInProgress && first_error == ncclSuccess) first_error = result;
    }
    const ncclResult_t end = ncclGroupEnd();  // also after an error: else the group would swallow the next calls
    connection_.check(first_error != ncclSuccess ? first_error : end);
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
