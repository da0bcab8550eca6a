#include "tests/cuda_on_cpu/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>

// There where AddressSanitizer is.
extern "C" {
__attribute__((weak)) void __asan_poison_memory_region(const volatile void* begin, std::size_t bytes);
__attribute__((weak)) void __asan_unpoison_memory_region(const volatile void* begin, std::size_t bytes);
}

namespace convoy::cuda_on_cpu {
namespace {

constexpr std::size_t kAlignment = 256, kPage = 4096;
constexpr int kPoison = 0xff;  // NaN in f32, bf16 and f16

std::size_t rounded(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

// With a gap behind it, which no kernel may touch.
std::size_t with_gap(std::size_t bytes) { return rounded(bytes, kAlignment) + kAlignment; }

void allow(void* data, std::size_t bytes, bool allowed) {
  auto* const change = allowed ? __asan_unpoison_memory_region : __asan_poison_memory_region;
  if (change != nullptr) change(data, bytes);
}

}  // namespace

DeviceMemory::DeviceMemory(std::size_t bytes) : bytes_(bytes), reserved_(rounded(2 * bytes + (1 << 20), kPage)) {
  void* memory = mmap(nullptr, reserved_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  base_ = static_cast<std::byte*>(memory);
}

DeviceMemory::~DeviceMemory() {
  allow(base_, touched_, true);
  munmap(base_, reserved_);
}

// The lowest: opening and closing costs time for all that was ever touched.
std::size_t DeviceMemory::find_place(std::size_t bytes) const {
  std::size_t place = 0;
  for (const auto& [begin, size] : blocks_) {
    if (begin >= place + bytes) break;
    place = begin + with_gap(size);
  }
  return place;
}

void* DeviceMemory::allocate(std::size_t bytes) {
  if (bytes == 0 || rounded(bytes, kAlignment) > available()) return nullptr;
  const std::size_t place = find_place(with_gap(bytes));
  if (place + with_gap(bytes) > reserved_) return nullptr;
  open();  // with the memory that it had so far
  touched_ = std::max(touched_, rounded(place + with_gap(bytes), kPage));
  mprotect(base_, touched_, PROT_READ | PROT_WRITE);
  allow(base_ + place, with_gap(bytes), true);
  std::memset(base_ + place, kPoison, with_gap(bytes));
  allow(base_ + place + bytes, with_gap(bytes) - bytes, false);
  blocks_[place] = bytes;
  used_ += rounded(bytes, kAlignment);
  close();
  return base_ + place;
}

bool DeviceMemory::free(void* data) {
  if (!contains(data)) return false;
  const auto block = blocks_.find(static_cast<std::size_t>(static_cast<std::byte*>(data) - base_));
  if (block == blocks_.end()) return false;
  open();
  std::memset(data, kPoison, block->second);
  allow(data, block->second, false);
  used_ -= rounded(block->second, kAlignment);
  blocks_.erase(block);
  close();
  return true;
}

bool DeviceMemory::contains(const void* data) const {
  const auto address = reinterpret_cast<uintptr_t>(data), base = reinterpret_cast<uintptr_t>(base_);
  return address >= base && address < base + reserved_;
}

bool DeviceMemory::allocated(const void* data, std::size_t bytes) const {
  if (!contains(data)) return false;
  const auto place = static_cast<std::size_t>(static_cast<const std::byte*>(data) - base_);
  auto block = blocks_.upper_bound(place);
  if (block == blocks_.begin()) return false;
  --block;
  return place + bytes <= block->first + block->second;
}

void DeviceMemory::open() {
  if (open_++ == 0 && touched_ > 0) mprotect(base_, touched_, PROT_READ | PROT_WRITE);
}

void DeviceMemory::close() {
  if (--open_ == 0 && touched_ > 0) mprotect(base_, touched_, PROT_NONE);
}

}  // namespace convoy::cuda_on_cpu
