// Labelled images that are found by number.
#pragma once

#include <cstdint>
#include <string>

#include "core/device/types.h"

namespace convoy {

inline constexpr int64_t kMaxImageBytes = 0x7fffffff;  // of one

// Threads: every method may be called by any thread at any time.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual int64_t size() const = 0;
  virtual Shape sample() const = 0;  // n = 1
  virtual int classes() const = 0;

  // Writes sample().elements() bytes, [H,W,C], and returns the label, 0 <= label < classes().
  // Requires: 0 <= i < size().  Throws Error(kBadData) where decoding may fail.
  virtual int read(int64_t i, uint8_t* pixels) const = 0;

  // Equal for equal contents, whatever they are called and wherever they lie.  Ranks compare it at start, a checkpoint
  // records it.
  virtual std::string fingerprint() const = 0;
};

}  // namespace convoy
