#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include <omp.h>

#include "core/base/simd.h"
#include "core/device/device.h"

namespace convoy {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

// Work of the compute stream has ended when the call that gave it returns.
class ImmediateStream : public Stream {
 public:
  void wait_for(Stream& other) override { other.synchronize(); }
  void synchronize() override {}
};

// Of a stream whose work has always ended.
class PastEvent : public Event {
 public:
  void record(Stream& stream) override { stream.synchronize(); }
  void wait() override {}
};

class HostAllocator : public Allocator {
 public:
  void* allocate(int64_t bytes) override {
    const bool large = bytes >= kHugePage;
    const auto alignment = static_cast<size_t>(large ? kHugePage : 256);
    const size_t rounded = (static_cast<size_t>(bytes) + alignment - 1) / alignment * alignment;
    void* data = std::aligned_alloc(alignment, rounded);
    if (data == nullptr) {
      throw Error(ExitCode::kOutOfMemory, "out of memory: asked for " + std::to_string(bytes) + " bytes on the host");
    }
    if (large) madvise(data, rounded, MADV_HUGEPAGE);
    std::memset(data, 0, rounded);
    return data;
  }
  void deallocate(void* data, int64_t) noexcept override { std::free(data); }
};

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "CPU";
}

class CpuDevice : public Device {
 public:
  // oneDNN waits for ever for threads that the OpenMP runtime does not give it, so a team must have the size asked for.
  explicit CpuDevice(int threads) : threads_(threads) {
    CHECK(threads >= 1);
    if (threads > omp_get_thread_limit()) {
      throw Error(ExitCode::kUnavailable, "threads: " + std::to_string(threads) + " asked for, OMP_THREAD_LIMIT is " +
                                              std::to_string(omp_get_thread_limit()));
    }
    omp_set_dynamic(0);
    omp_set_num_threads(threads);
  }
  DeviceKind kind() const override { return DeviceKind::kCpu; }
  std::string name() const override {
    return processor_name() + " (" + to_string(simd_level()) + "), " + std::to_string(threads_) +
           (threads_ == 1 ? " thread" : " threads");
  }
  Allocator& allocator() override { return allocator_; }
  Allocator& host_allocator() override { return allocator_; }
  Stream& compute() override { return compute_; }
  Stream& copies() override { return compute_; }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<ImmediateStream>(); }
  std::unique_ptr<Event> make_event() override { return std::make_unique<PastEvent>(); }
  bool runs_ahead() const override { return false; }
  bool captures() const override { return false; }
  std::unique_ptr<CapturedWork> capture(const std::function<void()>&) override {
    throw InternalError("the CPU captures no work");
  }
  void copy(void* to, const void* from, int64_t bytes, Stream&) override {
    if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  }

 private:
  int threads_;
  HostAllocator allocator_;
  ImmediateStream compute_;
};

}  // namespace

std::unique_ptr<Allocator> make_host_allocator() { return std::make_unique<HostAllocator>(); }

std::unique_ptr<Device> make_cpu_device(int threads) { return std::make_unique<CpuDevice>(threads); }

}  // namespace convoy
