#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "core/device/device.h"

namespace convoy {
namespace {

constexpr int64_t kPage = 4096, kHugePage = int64_t{2} << 20;

int64_t resident_pages(const void* data, int64_t bytes) {
  std::vector<unsigned char> in_memory(static_cast<size_t>(bytes / kPage));
  EXPECT_EQ(mincore(const_cast<void*>(data), static_cast<size_t>(bytes), in_memory.data()), 0);
  return std::ranges::count_if(in_memory, [](unsigned char page) { return (page & 1) != 0; });
}

bool all_zero(const Buffer& buffer) {
  const auto* begin = buffer.as<std::byte>();
  return std::all_of(begin, begin + buffer.bytes(), [](std::byte it) { return it == std::byte{0}; });
}

TEST(HostAllocator, LargeMemoryTakesNoPageBeforeItIsTouched) {
  const std::unique_ptr<Allocator> allocator = make_host_allocator();
  constexpr int64_t kBytes = 16 * kHugePage;
  const Buffer buffer(*allocator, kBytes);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kHugePage, 0U);
  EXPECT_EQ(resident_pages(buffer.data(), kBytes), 0);
  buffer.as<std::byte>()[kBytes - 1] = std::byte{1};
  EXPECT_GT(resident_pages(buffer.data(), kBytes), 0);
  EXPECT_LE(resident_pages(buffer.data(), kBytes), kHugePage / kPage);
}

TEST(HostAllocator, MemoryIsZeroEachTime) {
  const std::unique_ptr<Allocator> allocator = make_host_allocator();
  for (const int64_t bytes : {int64_t{1}, int64_t{100'000}, kHugePage - 1, kHugePage, 3 * kHugePage + 5}) {
    for (int time = 0; time < 2; ++time) {
      const Buffer buffer(*allocator, bytes);
      EXPECT_TRUE(all_zero(buffer)) << bytes;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 256, 0U);
      std::memset(buffer.data(), 1, static_cast<size_t>(bytes));
    }
  }
}

}  // namespace
}  // namespace convoy
