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

// Large memory comes from the kernel, which zeroes each page when it is first touched: by the thread that will work on
// it, and not at all where nobody does.
class HostAllocator : public Allocator {
 public:
  void* allocate(int64_t bytes) override {
    const bool large = bytes >= kHugePage;
    const size_t rounded = round_up(bytes, large ? kHugePage : kAlignment);
    void* const data = large ? map(rounded) : std::aligned_alloc(kAlignment, rounded);
    if (data == nullptr) {
      throw Error(ExitCode::kOutOfMemory, "out of memory: asked for " + std::to_string(bytes) + " bytes on the host");
    }
    if (!large) std::memset(data, 0, rounded);
    return data;
  }
  void deallocate(void* data, int64_t bytes) noexcept override {
    if (bytes >= kHugePage) {
      munmap(data, round_up(bytes, kHugePage));
    } else {
      std::free(data);
    }
  }

 private:
  static constexpr int64_t kAlignment = 256, kHugePage = int64_t{2} << 20;

  static size_t round_up(int64_t bytes, int64_t unit) { return static_cast<size_t>((bytes + unit - 1) / unit * unit); }
  // `bytes` that begin at a huge page; null where there is no memory.
  static void* map(size_t bytes) {
    void* const mapped = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    auto* const begin = static_cast<std::byte*>(mapped);
    const size_t before = round_up(reinterpret_cast<intptr_t>(begin), kHugePage) - reinterpret_cast<uintptr_t>(begin);
    if (before > 0) munmap(begin, before);
    munmap(begin + before + bytes, kHugePage - before);
    madvise(begin + before, bytes, MADV_HUGEPAGE);
    return begin + before;
  }
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
