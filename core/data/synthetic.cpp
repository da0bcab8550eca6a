#include "core/data/synthetic.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/rng.h"

namespace convoy {
namespace {

constexpr int kCells = 4;     // a pattern is 4 x 4 cells, each with one value per channel
constexpr int kNoise = 64;    // noise is uniform in [0, kNoise)
constexpr int kLevels = 192;  // pattern values; pattern + noise < 256: nothing saturates

// Counter spaces: high word 0 is the patterns, i + 1 the noise of sample i.
constexpr uint64_t kPatternSpace = 0;

// Each counter gives 16 bytes, of which the low bits are kept.
void fill_with_noise(uint8_t* pixels, int64_t elements, uint64_t key, uint64_t space) {
  static_assert(kNoise == 64, "the mask keeps 6 bits of each byte");
  for (int64_t k = 0; k < elements; k += 16) {
    Random4 words = philox(key, space, static_cast<uint64_t>(k / 16));
    for (uint32_t& word : words) word &= 0x3f3f3f3f;
    std::memcpy(pixels + k, words.data(), static_cast<size_t>(std::min<int64_t>(16, elements - k)));
  }
}

}  // namespace

SyntheticDataset::SyntheticDataset(const Options& options)
    : options_(options), key_(random_key(RandomUse::kSynthetic, options.seed)) {
  const Shape& s = options_.sample;
  CHECK(options_.size >= 1 && options_.classes >= 1 && options_.offset >= 0, "SyntheticDataset::Options");
  CHECK(s.n == 1 && s.h >= 1 && s.w >= 1 && s.c >= 1, "SyntheticDataset::Options::sample");
  patterns_.resize(static_cast<size_t>(options_.classes) * kCells * kCells * static_cast<size_t>(s.c));
  for (size_t k = 0; k < patterns_.size(); ++k)
    patterns_[k] = static_cast<uint8_t>(philox(key_, kPatternSpace, k)[0] % kLevels);
}

int SyntheticDataset::read(int64_t i, int64_t, uint8_t* pixels) const {
  const Shape& s = options_.sample;
  const int64_t number = options_.offset + i;
  const int label = static_cast<int>(number % options_.classes);
  fill_with_noise(pixels, s.elements(), key_, static_cast<uint64_t>(number) + 1);

  const uint8_t* pattern = patterns_.data() + int64_t{label} * kCells * kCells * s.c;
  for (int y = 0; y < s.h; ++y) {
    const uint8_t* cells = pattern + int64_t{y} * kCells / s.h * kCells * s.c;
    for (int x = 0; x < s.w; ++x) {
      const uint8_t* cell = cells + int64_t{x} * kCells / s.w * s.c;
      for (int c = 0; c < s.c; ++c) *pixels++ += cell[c];
    }
  }
  return label;
}

std::string SyntheticDataset::fingerprint() const {
  return hash128_hex("synthetic 1 " + std::to_string(options_.size) + " " + to_string(options_.sample) + " " +
                     std::to_string(options_.classes) + " " + std::to_string(options_.seed) + " " +
                     std::to_string(options_.offset));
}

}  // namespace convoy
