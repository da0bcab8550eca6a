// Reads ahead: worker threads decode the micro-batches of one rank, in order, into a ring of buffers.  All threads work
// on the samples of the batch that is needed next, so that few buffers are enough for many threads.
//
// What is delivered depends on data set, sampler, mixing, rank, world and starting point only, never on the number of
// threads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <limits>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "core/data/dataset.h"
#include "core/data/mix.h"
#include "core/data/sampler.h"
#include "core/device/device.h"
#include "core/device/target.h"

namespace convoy {

// One decoded micro-batch.  Rows from `valid` on are padding: zero pixels, class 0; their results must be ignored.
struct Batch {
  std::span<const uint8_t> pixels;  // [micro,H,W,C]
  std::span<const Target> targets;  // [micro]
  std::vector<int64_t> ids;         // sample numbers of the valid rows
  int valid = 0;                    // rows
  int64_t first_row = 0;            // of the global batch
  int64_t epoch = 0, step = 0;      // step within the epoch
  int64_t index = 0;                // micro-batch within the step, over all ranks
};

class Loader {
 public:
  struct Options {
    int rank = 0, world = 1;
    int threads = 1;                                          // that decode; 0: one, more as batches are waited for
    int most_threads = 1;                                     // with threads 0
    int prefetch = 4;                                         // micro-batches decoded ahead of the one in use
    int64_t epoch = 0, step = 0;                              // of the first batch: where a resumed run goes on
    int64_t end_epoch = std::numeric_limits<int64_t>::max();  // stop before this one
    MixOptions mix = {};                                      // of the rows of each micro-batch
  };

  // Starts to read.  `dataset`, `sampler` and `allocator` (of host memory, pinned for a GPU) must outlive the loader.
  // Requires: threads >= 0, most_threads >= 1, prefetch >= 1,
  // step < sampler.steps_per_epoch().
  Loader(const Dataset& dataset, const Sampler& sampler, Allocator& allocator, const Options& options);

  ~Loader();  // waits for the samples that are being read, no more

  // The following methods belong to one thread, the consumer.

  // No more batches for this rank: end_epoch is reached, or its share is empty.
  bool finished() const { return !position_.valid; }

  // The next micro-batch, valid until the next call; waits if it is not there yet.  Rethrows what reading it threw,
  // now and at every later call.  Requires: !finished().
  const Batch& next();

  int threads() const { return static_cast<int>(threads_.size()); }
  int ready() const { return ready_; }  // batches that were decoded when next() was called

 private:
  // A micro-batch of this rank; steps through epochs in order.
  struct Position {
    int64_t epoch = 0, step = 0, index = 0;
    bool valid = true;  // false: past the end
  };
  // Of the batch `opened_ - 1` rows are handed out in order, those of earlier ones have been.  What a slot holds
  // belongs to the workers until it is ready, then to the consumer; the numbers are guarded by mutex_.
  struct Slot {
    Buffer pixels, targets;
    std::vector<uint8_t> scratch;  // one sample, where rows are mixed
    Batch batch;
    int64_t claimed = 0, done = 0;  // rows
    std::exception_ptr error;       // of the first row that failed
    int64_t error_row = 0;
    bool ready = false;
  };
  struct Claim {
    Slot* slot;
    Share rows;
    bool opens;  // the first of its batch
  };

  Position first_position() const;
  Position following(Position position) const;
  void start_thread();
  void adapt(bool waited);
  void work(const std::stop_token& stop);
  bool may_claim() const;
  Claim claim();
  void open(Slot& slot, const Position& position) const;
  void read(Slot& slot, int64_t row) const;
  void finish(Slot& slot) const;

  const Dataset& dataset_;
  const Sampler& sampler_;
  const Options options_;
  const int64_t rows_at_once_;
  std::vector<Slot> ring_;  // micro-batch number t of this rank goes through slot t % ring_.size()

  // The consumer's.
  Position position_;      // what next() delivers
  int64_t delivered_ = 0;  // calls of next()
  int ready_ = 0;
  int waited_ = 0;  // for batches since adapt() last decided

  std::mutex mutex_;
  std::condition_variable_any work_;  // there are rows to claim
  std::condition_variable_any done_;  // a batch is ready
  Position to_decode_;                // guarded by mutex_
  int64_t opened_ = 0;                // guarded by mutex_; micro-batches that a worker began
  int64_t released_ = 0;              // guarded by mutex_; micro-batches that the consumer is done with

  std::vector<std::jthread> threads_;  // last: stopped and joined before anything above goes away
};

}  // namespace convoy
