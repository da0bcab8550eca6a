#include "core/data/sampler.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/rng.h"

namespace convoy {
namespace {

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Bijection of 0 .. 2^bits - 1.  Each round changes one half by a keyed random function of the other half, which the
// same round could undo: so no two inputs meet, whatever that function is.
class Feistel {
 public:
  Feistel(int bits, uint64_t seed, int64_t epoch)
      : low_bits_(bits / 2),
        low_mask_((uint64_t{1} << low_bits_) - 1),
        high_mask_((uint64_t{1} << (bits - low_bits_)) - 1),
        key_(random_key(RandomUse::kShuffle, seed)),
        epoch_(static_cast<uint64_t>(epoch)) {}

  uint64_t operator()(uint64_t value) const {
    constexpr uint64_t kRounds = 8;
    uint64_t high = value >> low_bits_, low = value & low_mask_;
    for (uint64_t round = 0; round < kRounds; round += 2) {
      high ^= random(round, low) & high_mask_;
      low ^= random(round + 1, high) & low_mask_;
    }
    return high << low_bits_ | low;
  }

 private:
  uint64_t random(uint64_t round, uint64_t half) const {
    return philox(key_, epoch_, round << 32 | half)[0];  // halves have at most 32 bits
  }

  int low_bits_;
  uint64_t low_mask_, high_mask_, key_, epoch_;
};

}  // namespace

Share share_of(int64_t items, int rank, int world) {
  CHECK(rank >= 0 && rank < world && items >= 0, "share_of");
  const int64_t least = items / world, larger = items % world;
  return {rank * least + std::min<int64_t>(rank, larger), least + (rank < larger ? 1 : 0)};
}

int64_t permuted(int64_t i, int64_t size, uint64_t seed, int64_t epoch) {
  CHECK(i >= 0 && i < size && epoch >= 0, "permuted");
  const int bits = std::max(2, static_cast<int>(std::bit_width(static_cast<uint64_t>(size - 1))));
  const Feistel shuffle(bits, seed, epoch);
  auto position = static_cast<uint64_t>(i);
  do position = shuffle(position);
  while (position >= static_cast<uint64_t>(size));  // fewer than 2 turns on average; ends, since i is on this cycle
  return static_cast<int64_t>(position);
}

Sampler::Sampler(const Options& options) : options_(options) {
  CHECK(options_.size >= 1 && options_.global_batch >= 1 && options_.micro_batch >= 1, "Sampler::Options");
  CHECK(options_.global_batch % options_.micro_batch == 0, "micro_batch must divide global_batch");
  if (steps_per_epoch() == 0)
    throw Error(ExitCode::kConfig, "expected a data set of at least one global batch (" +
                                       std::to_string(options_.global_batch) + " samples), found " +
                                       std::to_string(options_.size));
}

Sampler Sampler::for_evaluation(int64_t size, int micro_batch) {
  const int64_t rows = divide_up(size, micro_batch) * micro_batch;
  return Sampler(
      {.size = size, .global_batch = rows, .micro_batch = micro_batch, .shuffle = false, .last = Last::kPad});
}

int64_t Sampler::steps_per_epoch() const {
  const int64_t all = options_.last == Last::kDrop ? options_.size / options_.global_batch
                                                   : divide_up(options_.size, options_.global_batch);
  return std::min(all, options_.most_steps);
}

int64_t Sampler::valid_rows(int64_t step) const {
  return std::min(options_.global_batch, options_.size - step * options_.global_batch);
}

int64_t Sampler::micro_batches(int64_t step) const { return divide_up(valid_rows(step), options_.micro_batch); }

MicroBatch Sampler::micro_batch(int64_t epoch, int64_t step, int64_t index, MicroBatch memory) const {
  CHECK(step >= 0 && step < steps_per_epoch() && index >= 0 && index < micro_batches(step), "Sampler::micro_batch");
  MicroBatch batch = std::move(memory);
  batch.ids.clear();
  batch.first_row = index * options_.micro_batch;
  const int64_t begin = step * options_.global_batch + batch.first_row;
  const int64_t end = std::min(begin + options_.micro_batch, options_.size);
  batch.ids.reserve(static_cast<size_t>(end - begin));
  for (int64_t i = begin; i < end; ++i)
    batch.ids.push_back(options_.shuffle ? permuted(i, options_.size, options_.seed, epoch) : i);
  return batch;
}

}  // namespace convoy
