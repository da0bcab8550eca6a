#include "core/device/device_cuda.h"

#include <cstdio>
#include <utility>

#include "core/device/stream_cuda.h"

namespace convoy {

// ---- Stream

CudaStream::CudaStream(bool urgent) {
  int least = 0, greatest = 0;
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  check(cudaStreamCreateWithPriority(stream_.out(), cudaStreamNonBlocking, urgent ? greatest : least));
  check(cudaEventCreateWithFlags(reached_.out(), cudaEventDisableTiming));
}

void CudaStream::wait_for(Stream& other) {
  auto* cuda = dynamic_cast<CudaStream*>(&other);
  if (cuda == nullptr) return other.synchronize();
  check(cudaEventRecord(cuda->reached_.get(), cuda->get()));
  check(cudaStreamWaitEvent(get(), cuda->reached_.get(), 0));
}

void CudaStream::wait_until(Event& event) {
  check(cudaStreamWaitEvent(get(), static_cast<CudaEvent&>(event).get(), 0));
}

void CudaStream::synchronize() { check(cudaStreamSynchronize(get())); }

namespace {

class CudaAllocator : public Allocator {
 public:
  void* allocate(int64_t bytes) override {
    void* data = nullptr;
    const cudaError_t status = cudaMalloc(&data, static_cast<size_t>(bytes));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // not sticky: the next call must not see it
      size_t available = 0, total = 0;
      check(cudaMemGetInfo(&available, &total));
      throw Error(ExitCode::kOutOfMemory, "out of memory: asked for " + std::to_string(bytes) + " bytes on the GPU, " +
                                              std::to_string(available) + " of " + std::to_string(total) + " are free");
    }
    check(status);
    check(cudaMemset(data, 0, static_cast<size_t>(bytes)));
    check(cudaDeviceSynchronize());  // our streams do not wait for the one that cudaMemset uses
    return data;
  }
  void deallocate(void* data, int64_t) noexcept override { cudaFree(data); }
};

class PinnedAllocator : public Allocator {
 public:
  void* allocate(int64_t bytes) override {
    void* data = nullptr;
    const cudaError_t status = cudaHostAlloc(&data, static_cast<size_t>(bytes), cudaHostAllocDefault);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw Error(ExitCode::kOutOfMemory,
                  "out of memory: asked for " + std::to_string(bytes) + " bytes of pinned host memory");
    }
    check(status);
    std::fill_n(static_cast<std::byte*>(data), bytes, std::byte{0});
    return data;
  }
  void deallocate(void* data, int64_t) noexcept override { cudaFreeHost(data); }
};

class CapturedCudaWork : public CapturedWork {
 public:
  explicit CapturedCudaWork(cudaGraph_t graph) { check(cudaGraphInstantiate(executable_.out(), graph, 0)); }
  void launch(Stream& stream) override { check(cudaGraphLaunch(executable_.get(), cuda_stream(stream))); }

 private:
  Handle<cudaGraphExec_t, cudaGraphExecDestroy> executable_;
};

class CudaDevice : public Device {
 public:
  explicit CudaDevice(int index) : index_((check(cudaSetDevice(index)), index)) {}
  ~CudaDevice() override { cudaDeviceSynchronize(); }

  DeviceKind kind() const override { return DeviceKind::kCuda; }
  std::string name() const override {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, index_));
    char text[80];
    std::snprintf(text, sizeof text, ", %.0f GB, sm_%d%d", static_cast<double>(properties.totalGlobalMem) / 1e9,
                  properties.major, properties.minor);
    return std::string(properties.name) + text;
  }
  std::string pci_address() const override {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, index_));
    char text[32];
    std::snprintf(text, sizeof text, "%04x:%02x:%02x.0", properties.pciDomainID, properties.pciBusID,
                  properties.pciDeviceID);
    return text;
  }
  Allocator& allocator() override { return allocator_; }
  Allocator& host_allocator() override { return pinned_; }
  Stream& compute() override { return compute_; }
  Stream& copies() override { return copies_; }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<CudaStream>(true); }
  std::unique_ptr<Event> make_event() override { return std::make_unique<CudaEvent>(); }
  void copy(void* to, const void* from, int64_t bytes, Stream& stream) override {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault, cuda_stream(stream)));
  }
  bool runs_ahead() const override { return true; }
  bool captures() const override { return true; }
  std::unique_ptr<CapturedWork> capture(const std::function<void()>& body) override;

 private:
  int index_;
  CudaAllocator allocator_;
  PinnedAllocator pinned_;
  CudaStream compute_, copies_;
};

std::unique_ptr<CapturedWork> CudaDevice::capture(const std::function<void()>& body) {
  check(cudaStreamBeginCapture(compute_.get(), cudaStreamCaptureModeThreadLocal));
  Handle<cudaGraph_t, cudaGraphDestroy> graph;
  try {
    body();
  } catch (...) {
    cudaStreamEndCapture(compute_.get(), graph.out());  // else the stream stays unusable
    throw;
  }
  check(cudaStreamEndCapture(compute_.get(), graph.out()));
  return std::make_unique<CapturedCudaWork>(graph.get());
}

}  // namespace

std::unique_ptr<Device> cuda_device(int index) { return std::make_unique<CudaDevice>(index); }

}  // namespace convoy
