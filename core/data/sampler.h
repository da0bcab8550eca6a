// Which samples make up which micro-batch: pure functions of (seed, epoch, step), the same for any number of ranks.
//
//   permuted order of an epoch  ── cut into ──►  steps of `global_batch` rows  ── cut into ──►  micro-batches
//
// Ranks run contiguous shares of a step's micro-batches.  Nothing here has state: resuming needs only the numbers.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace convoy {

// A contiguous part of a list: elements first .. first + count - 1.
struct Share {
  int64_t first = 0, count = 0;
  friend bool operator==(const Share&, const Share&) = default;
};

// Rank's part of `items`; parts cover them in rank order, differ by one at most, the larger ones first, and may be
// empty.  Requires: 0 <= rank < world.
Share share_of(int64_t items, int rank, int world);

// A bijection of 0..size-1 in constant memory: where position `i` of the shuffled order points to.
// A Feistel network over the smallest power of two >= size, walked until it lands inside.
int64_t permuted(int64_t i, int64_t size, uint64_t seed, int64_t epoch);

// Up to `micro` rows of a global batch.
struct MicroBatch {
  std::vector<int64_t> ids;  // sample numbers; fewer than micro (or none) where a padded epoch ran out
  int64_t first_row = 0;     // of the global batch
};

class Sampler {
 public:
  // What becomes of the samples left when an epoch is cut into global batches.
  enum class Last { kDrop, kPad };

  struct Options {
    int64_t size = 0;          // samples
    int64_t global_batch = 0;  // rows per step
    int micro_batch = 0;       // rows; divides global_batch
    uint64_t seed = 0;
    bool shuffle = true;
    Last last = Last::kDrop;
    int64_t most_steps = std::numeric_limits<int64_t>::max();  // an epoch ends after these, whatever is left
  };
  // Requires: positive numbers, micro_batch divides global_batch.
  // Throws Error(kConfig) if kDrop would drop everything.
  explicit Sampler(const Options& options);

  // The whole data set in order as one step, the last micro-batch padded: shares of it count each sample exactly once
  // for any number of ranks.
  static Sampler for_evaluation(int64_t size, int micro_batch);

  int micro_batch_rows() const { return options_.micro_batch; }
  int64_t steps_per_epoch() const;
  // Of a full step; the last step of a padded epoch has only those with at least one sample.
  int64_t micro_batches_per_step() const { return options_.global_batch / options_.micro_batch; }
  int64_t micro_batches(int64_t step) const;
  int64_t valid_rows(int64_t step) const;  // samples in this step, over all ranks: what the loss divides by

  // Requires: step < steps_per_epoch(), index < micro_batches(step).
  // `memory`: of one that is not needed any more, so that none is allocated.
  MicroBatch micro_batch(int64_t epoch, int64_t step, int64_t index, MicroBatch memory = {}) const;

 private:
  const Options options_;
};

}  // namespace convoy
