// Owns a handle of a C library: using Graph = Handle<cudaGraph_t, cudaGraphDestroy>.
#pragma once

#include <utility>

namespace convoy {

// As large as the handle.  Move-only; what destroy returns is ignored, since nobody could act on it.
template <class T, auto destroy>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T handle) : handle_(handle) {}
  Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, T{})) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Handle() {
    if (handle_ != T{}) static_cast<void>(destroy(handle_));
  }
  T get() const { return handle_; }
  // For functions that make one: check(cudaEventCreate(event.out())).  Requires: empty.
  T* out() { return &handle_; }

 private:
  T handle_{};
};

}  // namespace convoy
