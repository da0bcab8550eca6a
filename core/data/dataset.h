// Labelled images that are found by number.
#pragma once

#include <cstdint>
#include <string>

#include "core/device/types.h"

namespace convoy {

enum class Split { kTrain, kTest };

// What is known of a file of images without reading them.
struct ImagesHeader {
  int64_t size = 0;  // images
  Shape sample;      // n = 1
};

inline constexpr int64_t kMaxImageBytes = 0x7fffffff;  // of one

// Threads: every method may be called by any thread at any time.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual int64_t size() const = 0;
  virtual Shape sample() const = 0;  // n = 1
  virtual int classes() const = 0;

  // Writes sample().elements() bytes, [H,W,C], and returns the label, 0 <= label < classes().  A pure function of the
  // arguments; `epoch` matters where samples are augmented only.  Requires: 0 <= i < size().
  // Throws Error(kBadData, kNoInput) naming the sample where it cannot be had.
  virtual int read(int64_t i, int64_t epoch, uint8_t* pixels) const = 0;

  // A hint: sample i will be read soon.
  virtual void will_read(int64_t) const {}

  // Equal for equal contents, whatever they are called and wherever they lie.  Ranks compare it at start, a checkpoint
  // records it.
  virtual std::string fingerprint() const = 0;
};

}  // namespace convoy
