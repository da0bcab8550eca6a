// The machine a plan runs on: memory, streams, events, captured work.  CpuDevice is here; the CUDA device comes from
// libconvoy_cuda.so.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "core/device/types.h"

namespace convoy {

class Stream;

// A point in a stream, to wait for from the host or to compare in time.
class Event {
 public:
  virtual ~Event() = default;
  // Moves the point behind all work given to `stream` so far.
  virtual void record(Stream& stream) = 0;
  // Returns when the work before the point has ended; at once if record() was never called.  Throws what it threw.
  virtual void wait() = 0;
};

// An ordered queue of work.  The streams of the CPU run everything at once, so their queues are always empty; those of
// a GPU and of a communicator may hold work that is still under way.
class Stream {
 public:
  virtual ~Stream() = default;
  // Work given to this stream from now on starts only after all work given to `other` so far has ended.
  virtual void wait_for(Stream& other) = 0;
  // Likewise after the point that `event` marks now; where a stream has no better way, the host waits for it.
  virtual void wait_until(Event& event) { event.wait(); }
  // Returns when all work given to this stream has ended.  Throws what that work threw.
  virtual void synchronize() = 0;
};

// Where buffers come from.  Gradient memory comes from the communicator's allocator (shared window, NCCL window).
class Allocator {
 public:
  virtual ~Allocator() = default;
  // Zero-filled, aligned to 256 bytes at least.  Throws Error(kOutOfMemory).  bytes > 0.
  virtual void* allocate(int64_t bytes) = 0;
  virtual void deallocate(void* data, int64_t bytes) noexcept = 0;
};

// Owns memory of an Allocator, which must outlive it.  Move-only.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Allocator& allocator, int64_t bytes)
      : allocator_(&allocator), data_(bytes > 0 ? allocator.allocate(bytes) : nullptr), bytes_(bytes) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer(std::move(other)).swap(*this);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) allocator_->deallocate(data_, bytes_);
  }
  void swap(Buffer& other) noexcept {
    std::swap(allocator_, other.allocator_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  Allocator* allocator_ = nullptr;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

// Work that was captured once, to be launched again and again (a CUDA graph).
class CapturedWork {
 public:
  virtual ~CapturedWork() = default;
  virtual void launch(Stream& stream) = 0;
};

// Memory of this process, huge-page backed where large.
std::unique_ptr<Allocator> make_host_allocator();

enum class DeviceKind : uint8_t { kCpu, kCuda };

// One thread per device gives it work.  Only on the CPU is device memory memory of the host: everything that is to run
// on any device reaches it through copy() and through kernels.
class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceKind kind() const = 0;
  virtual std::string name() const = 0;  // "AMD EPYC (avx512), 2 threads"; "NVIDIA H200, 141 GB, sm_90"
  virtual std::string pci_address() const { return ""; }  // "0000:1b:00.0"; "" where there is none
  virtual Allocator& allocator() = 0;                     // of device memory
  virtual Allocator& host_allocator() = 0;  // of host memory that copies fast and behind the host's back (pinned)
  virtual Stream& compute() = 0;            // kernels
  virtual Stream& copies() = 0;             // host to device, beside the kernels
  virtual std::unique_ptr<Stream> make_stream() = 0;
  virtual std::unique_ptr<Event> make_event() = 0;
  // Copies between any two of host and device memory, in order on `stream`; on a GPU it may return before it is done.
  // Memory of other allocators than host_allocator() is read before it returns, but more slowly.
  virtual void copy(void* to, const void* from, int64_t bytes, Stream& stream) = 0;

  // Whether work runs on while the host goes on: then the host looks at results only some steps later.
  virtual bool runs_ahead() const = 0;
  // Whether capture() works.
  virtual bool captures() const = 0;
  // What `body` gives to compute(), and to streams that wait for it there and are waited for, as work to be launched;
  // none of it runs yet.  Requires: captures(), and body neither allocates nor waits for the device.
  virtual std::unique_ptr<CapturedWork> capture(const std::function<void()>& body) = 0;
};

// Memory is huge-page backed where large; `threads` compute threads (OpenMP team of the calling thread).
// Requires: threads >= 1.  Throws Error(kUnavailable) when the OpenMP runtime would give fewer.
std::unique_ptr<Device> make_cpu_device(int threads);

}  // namespace convoy
