// The memory of a device: nobody may touch it but its work, and it starts and ends as NaN.
#pragma once

#include <cstddef>
#include <map>

namespace convoy::cuda_on_cpu {

class DeviceMemory {
 public:
  explicit DeviceMemory(std::size_t bytes);
  DeviceMemory(const DeviceMemory&) = delete;
  ~DeviceMemory();

  void* allocate(std::size_t bytes);  // aligned to 256 bytes, as CUDA's; null where none is left
  bool free(void* data);              // false: not what allocate() returned
  bool contains(const void* data) const;
  // Whether all of it lies in one allocation.
  bool allocated(const void* data, std::size_t bytes) const;
  std::size_t available() const { return bytes_ - used_; }
  std::size_t total() const { return bytes_; }
  int allocations() const { return static_cast<int>(blocks_.size()); }

  // Work may touch memory between the two; they may be nested.
  void open();
  void close();

 private:
  std::size_t find_place(std::size_t bytes) const;

  std::size_t bytes_, reserved_, used_ = 0;
  std::byte* base_;
  std::size_t touched_ = 0;                    // behind all that was ever used
  std::map<std::size_t, std::size_t> blocks_;  // bytes by place
  int open_ = 0;
};

}  // namespace convoy::cuda_on_cpu
