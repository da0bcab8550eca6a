// Reads ahead: worker threads decode the micro-batches of one rank, in order, into a ring of buffers.
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
    int threads = 1;                                          // that decode
    int prefetch = 4;                                         // micro-batches decoded ahead of the one in use
    int64_t epoch = 0, step = 0;                              // of the first batch: where a resumed run goes on
    int64_t end_epoch = std::numeric_limits<int64_t>::max();  // stop before this one
    MixOptions mix = {};                                      // of the rows of each micro-batch
  };

  // Starts to read.  `dataset`, `sampler` and `allocator` (of host memory, pinned for a GPU) must outlive the loader.
  // Requires: threads >= 1, prefetch >= 1, step < sampler.steps_per_epoch().
  Loader(const Dataset& dataset, const Sampler& sampler, Allocator& allocator, const Options& options);

  // The following methods belong to one thread, the consumer.

  // No more batches for this rank: end_epoch is reached, or its share is empty.
  bool finished() const { return !position_.valid; }

  // The next micro-batch, valid until the next call; waits if it is not there yet.  Rethrows what reading it threw,
  // now and at every later call.  Requires: !finished().
  const Batch& next();

 private:
  // A micro-batch of this rank; steps through epochs in order.
  struct Position {
    int64_t epoch = 0, step = 0, index = 0;
    bool valid = true;  // false: past the end
  };
  struct Slot {
    Buffer pixels, targets;
    std::vector<uint8_t> scratch;  // one sample, where rows are mixed
    Batch batch;
    std::exception_ptr error;
    bool ready = false;  // guarded by mutex_; the rest belongs to the worker until ready, then to the consumer
  };

  Position first_position() const;
  Position following(Position position) const;
  void work(const std::stop_token& stop);
  void fill(Slot& slot, const Position& position) const;

  const Dataset& dataset_;
  const Sampler& sampler_;
  const Options options_;
  std::vector<Slot> ring_;  // micro-batch number t of this rank goes through slot t % ring_.size()

  // The consumer's.
  Position position_;      // what next() delivers
  int64_t delivered_ = 0;  // calls of next()

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Position to_decode_;    // guarded by mutex_
  int64_t claimed_ = 0;   // guarded by mutex_; micro-batches that a worker took
  int64_t released_ = 0;  // guarded by mutex_; micro-batches that the consumer is done with

  std::vector<std::jthread> threads_;  // last: stopped and joined before anything above goes away
};

}  // namespace convoy
