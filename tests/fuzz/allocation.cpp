#include "tests/fuzz/allocation.h"

#include <malloc.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <new>

namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
std::atomic<int64_t> allocated = 0, limit = kNoLimit, peak = 0;  // bytes

void* allocate(size_t bytes) noexcept {
  const int64_t most = limit.load(std::memory_order_relaxed), now = allocated.load(std::memory_order_relaxed);
  if (most != kNoLimit && (bytes > static_cast<size_t>(kNoLimit) || static_cast<int64_t>(bytes) > most - now)) {
    std::fprintf(stderr, "ALLOCATION: %zu bytes more than the %lld left to this input\n", bytes,
                 static_cast<long long>(most - now));
    std::abort();
  }
  void* memory = std::malloc(bytes);
  if (memory == nullptr) return nullptr;
  const int64_t held = allocated += static_cast<int64_t>(malloc_usable_size(memory));
  if (held > peak.load(std::memory_order_relaxed)) peak = held;  // that of one thread, as fuzzing has
  return memory;
}

void* allocate_or_throw(size_t bytes) {
  void* memory = allocate(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void release(void* memory) noexcept {
  allocated -= static_cast<int64_t>(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

// All forms but those for over-aligned types: AddressSanitizer has its own of each, which do not call each other.
void* operator new(size_t bytes) { return allocate_or_throw(bytes); }
void* operator new[](size_t bytes) { return allocate_or_throw(bytes); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, size_t) noexcept { release(memory); }
void operator delete[](void* memory, size_t) noexcept { release(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { release(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { release(memory); }

namespace convoy {

AllocationLimit::AllocationLimit(int64_t most) : before_(allocated) {
  limit = allocated + most;
  peak = before_;
}
int64_t AllocationLimit::peak_bytes() const { return peak - before_; }
AllocationLimit::~AllocationLimit() { limit = kNoLimit; }
int64_t allocated_bytes() { return allocated; }

}  // namespace convoy
