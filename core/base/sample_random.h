// Random numbers for one sample in one epoch, for augmentation.
//
// Every kind of draw has a stream of its own, so that one that is switched on, or that draws more often, changes no
// other.  Stream 0 is philox(key, epoch, sample) itself, for who needs a few words only; kinds are numbered from 1.
#pragma once

#include <cstdint>

#include "core/base/error.h"
#include "core/base/rng.h"

namespace convoy {

enum class RandomStream : uint32_t {
  kCrop = 1,
  kFlip = 2,
  kShift = 3,
  kErase = 4,
  kColour = 5,
  kRotate = 6,
  kPolicy = 7,
};

// A sequence of numbers, a pure function of what it is made of.
class SampleRandom {
 public:
  SampleRandom(uint64_t key, int64_t epoch, int64_t sample, RandomStream stream)
      : key_(key),
        counter_{static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32), static_cast<uint32_t>(epoch),
                 static_cast<uint32_t>(stream) << 16} {
    CHECK(epoch >= 0 && epoch <= UINT32_MAX && sample >= 0, "SampleRandom");
  }

  uint32_t word() {
    if (next_ == 4) {
      words_ = philox(key_, counter_);
      ++counter_[3];  // at most 2^16 blocks: nobody draws that often
      next_ = 0;
    }
    return words_[next_++];
  }
  int below(int n) { return static_cast<int>(uint64_t{word()} * static_cast<uint32_t>(n) >> 32); }  // 0 .. n - 1
  double uniform() { return word() * 0x1.0p-32; }                                                   // [0, 1)
  double uniform(double from, double to) { return from + (to - from) * uniform(); }
  bool chance(double probability) { return uniform() < probability; }  // 0 is never, 1 is always

 private:
  uint64_t key_;
  Random4 counter_, words_{};
  uint32_t next_ = 4;
};

}  // namespace convoy
