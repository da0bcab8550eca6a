// The machine a plan runs on: memory, streams.  CpuDevice is here; the CUDA device comes from libconvoy_cuda.so.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/device/types.h"

namespace convoy {

// An ordered queue of work.  The compute stream of the CPU runs everything at once, so its queue is always empty;
// a communicator's stream may hold work that is still under way.
class Stream {
 public:
  virtual ~Stream() = default;
  // Work given to this stream from now on starts only after all work given to `other` so far has ended.
  virtual void wait_for(Stream& other) = 0;
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

// Memory of this process, huge-page backed where large.
std::unique_ptr<Allocator> make_host_allocator();

enum class DeviceKind : uint8_t { kCpu, kCuda };

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceKind kind() const = 0;
  virtual std::string name() const = 0;  // "AMD EPYC (avx512), 2 threads"; "NVIDIA H200"
  virtual Allocator& allocator() = 0;
  virtual Stream& compute() = 0;
  // Copies between any two of host and device memory, in order on `stream`.
  virtual void copy(void* to, const void* from, int64_t bytes, Stream& stream) = 0;
};

// Memory is huge-page backed where large; `threads` compute threads (OpenMP team of the calling thread).
// Requires: threads >= 1.  Throws Error(kUnavailable) when the OpenMP runtime would give fewer.
std::unique_ptr<Device> make_cpu_device(int threads);

}  // namespace convoy
