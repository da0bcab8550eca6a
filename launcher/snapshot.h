// What a checkpoint of a run holds, and how a run goes on from one.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/base/log.h"
#include "core/train/checkpoint.h"
#include "core/train/optimizer.h"
#include "core/train/weight_average.h"
#include "launcher/backend.h"
#include "launcher/replica.h"
#include "launcher/watchers.h"

namespace convoy {

// A copy in host memory of what a run trains, under the names of checkpoints; and the way back to the device.  Rank 0
// has it.
class Snapshot {
 public:
  // Copies nothing yet.  `optimizer` may be null: then there is only the model.  All outlive it.
  Snapshot(Replica& replica, Optimizer* optimizer, Backend& backend, WeightAverage* average = nullptr);

  // Memory for the copy, of this rank alone; throws Error(kOutOfMemory).  take() does it where nobody did.
  void reserve();
  // Both between steps: gradients are lost.
  void take();  // collective: from the devices; waits for their work
  void put();   // collective: to the devices of all ranks; the copy is gone

  void take_model();    // of this rank, which may be any
  bool finite() const;  // all values and statistics of the copy
  // Overwrites tensors of the copy with those of a checkpoint.  Throws Error(kBadData) naming the tensor that is
  // missing or of another shape, or one that does not belong here.
  void restore_model(const Checkpoint& checkpoint);
  void restore_optimizer(const Checkpoint& checkpoint);
  void restore_average(const Checkpoint& checkpoint);
  // Likewise with elements by name, of some of the tensors.  Requires: the names and sizes are those of the copy.
  void set_model(const std::map<std::string, std::vector<float>>& elements);
  void set_optimizer(const std::map<std::string, std::vector<float>>& elements);

  // Views of the copy: all weights and running statistics …
  std::vector<NamedTensor> model_tensors() const;
  // … and the optimizer's buffers, "conv2d_1.weight.momentum", with the loss scale where it moves.
  std::vector<NamedTensor> optimizer_tensors() const;
  // What the average has, "conv2d_1.weight.ema", "batch_norm_1.running_mean.ema"; none without one.
  std::vector<NamedTensor> average_tensors() const;

 private:
  // The same elements on both sides.
  struct Part {
    float* on_device;
    int64_t elements;
    float* shards;  // not null: on_device is scratch, and this rank keeps its parts of them here
    Buffer copy;    // none before it was taken
  };
  void add(float* on_device, int64_t elements, float* shards = nullptr);
  template <class Copy>
  void for_each_shard(const Part& part, Copy copy) const;
  void reserve(Part& part);
  void copy_from(Part& part);
  void broadcast(const Part& part);
  void finish();
  bool leads() const { return backend_.communicator->rank() == 0; }

  Replica& replica_;
  const Parameters& parameters_;
  Optimizer* optimizer_;
  Backend& backend_;
  WeightAverage* average_;
  std::vector<Part> parts_;  // values, state; optimizer's states, loss scale; values and state of the average
};

// Saves checkpoints, of what a snapshot has, of one run and keeps the newest few, and the best one apart.  Rank 0 only.
class Checkpointer {
 public:
  using Metadata = std::map<std::string, std::string>;
  struct Keep {
    std::string root;                 // of the newest
    int newest = 1;                   // so many
    std::string best_root = {};       // of the best …
    std::optional<Metric> best = {};  // … by this
  };
  // `run` is what all of the run's manifests say: everything but step, epoch and samples; the metadata are what all of
  // its files of tensors say.  All outlive it.
  Checkpointer(FileSystem& files, Keep keep, Manifest run, Snapshot& snapshot, Metadata model = {},
               Metadata optimizer = {})
      : files_(files),
        keep_(std::move(keep)),
        run_(std::move(run)),
        snapshot_(snapshot),
        model_(std::move(model)),
        optimizer_(std::move(optimizer)) {}

  struct Moment {
    int64_t step, epoch, samples_in_epoch;
    std::string watchers = {};  // Watchers::text()
  };
  // Returns when the checkpoint is on the disk.  Throws Error (kIo, kCannotCreate, kPermission; kNonFinite where a
  // value is not finite, which nobody wants to go on from); earlier checkpoints are untouched then.
  void save(const Moment& moment);

  // How good the best one is that earlier lives of the run have left.
  void find_best(const Warn& warn);
  // Whether the best one is kept and `evaluation` is better than it.
  bool is_best(const Evaluation& evaluation) const;
  // As save(), in the place of the best one.  Its path.
  std::string save_best(const Moment& moment, const Evaluation& evaluation);

 private:
  CheckpointContents contents(const Moment& moment) const;

  FileSystem& files_;
  const Keep keep_;
  std::optional<double> best_;
  const Manifest run_;
  Snapshot& snapshot_;
  const Metadata model_, optimizer_;
};

// The state of the watchers in a checkpoint; null where it has none.
const std::string* watchers_of(const Checkpoint& checkpoint);

// What to do about a checkpoint that does not fit; the end of a message.
inline constexpr const char* kOtherSettings =
    "; use --fresh, another experiment.name, or the settings it was saved with";

// Throws Error(kConfig) when `saved` counts steps of other batches or of other data than `now`: its data cursor would
// mean something else.
void require_same_cursor(const Manifest& saved, const Manifest& now, const std::string& path);

// "" when going on from `saved` gives the same bits as never having stopped, else what is different.
std::string bitwise_obstacle(const Manifest& saved, const Manifest& now);

}  // namespace convoy
