// What libhdf5 hands out, owned; its errors as Error(kBadData).
#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

namespace convoy::h5 {

// "WHERE: what (libhdf5: what it says)".
[[noreturn]] void fail(const std::string& where, const std::string& what);

// Of calls that return a negative number for an error.
template <class T>
T check(T result, const std::string& where, const char* what) {
  if (result < 0) fail(where, what);
  return result;
}

// An identifier of any kind: object, type, space, list of properties.
class Id {
 public:
  Id(hid_t id, const std::string& where, const char* what) : id_(check(id, where, what)) {}
  Id(Id&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Id& operator=(Id&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Id() {
    if (id_ >= 0) ::H5Idec_ref(id_);
  }
  hid_t get() const { return id_; }

 private:
  hid_t id_;
};

}  // namespace convoy::h5
