// Elements in device memory, for tests on any device.
#pragma once

#include <vector>

#include "core/device/device.h"

namespace convoy {

// The device must outlive it.
template <class T>
class OnDevice {
 public:
  OnDevice(Device& device, const std::vector<T>& values)
      : device_(device), memory_(device.allocator(), static_cast<int64_t>(values.size() * sizeof(T))) {
    write(values);
  }
  void write(const std::vector<T>& values) {
    device_.copy(memory_.data(), values.data(), memory_.bytes(), device_.compute());
    device_.compute().synchronize();
  }
  std::vector<T> read() const {
    std::vector<T> values(static_cast<size_t>(memory_.bytes()) / sizeof(T));
    device_.copy(values.data(), memory_.data(), memory_.bytes(), device_.compute());
    device_.compute().synchronize();
    return values;
  }
  T* data() const { return memory_.as<T>(); }

 private:
  Device& device_;
  Buffer memory_;
};

}  // namespace convoy
