// A whole data set in the memory of the device: a batch is then a list of sample numbers and of what is done to them.
#pragma once

#include <span>
#include <vector>

#include "core/data/augment.h"
#include "core/data/dataset.h"
#include "core/data/mix.h"
#include "core/device/target.h"
#include "core/device/transfer.h"
#include "launcher/backend.h"

namespace convoy {

class DeviceCache {
 public:
  // Reads all of `dataset` once, on all threads.  Batches have at most `rows` rows.  The backend must outlive it.
  // The device augments: the same bits as from an AugmentedDataset of `dataset`.  Requires: !augment.costly().
  // Throws what reading throws, and Error(kOutOfMemory) where it does not fit.
  DeviceCache(const Dataset& dataset, int rows, Backend& backend, const AugmentOptions& augment = {},
              uint64_t seed = 0);

  // Gathers a micro-batch on the compute stream: pixels [rows,H,W,C], targets [rows], device memory; the same bits as a
  // Loader has with this `mix`.  But rows from ids.size() on are copies of sample 0, to be ignored.
  void gather(std::span<const int64_t> ids, int64_t epoch, const MixOptions& mix, void* pixels, void* targets);

 private:
  void read(const Dataset& dataset);
  CheapAugment draw(int64_t id, int64_t epoch) const;
  void mix_row(size_t row, int64_t partner, int64_t epoch, const MixOptions& mix);

  const Shape sample_;
  const AugmentOptions augment_;
  const uint64_t key_;
  Device& device_;
  FlatOps& ops_;
  Buffer pixels_;
  std::vector<int32_t> labels_;

  // Of the batch that is gathered, and their way to the device.
  std::vector<ImageRow> rows_;
  std::vector<Target> targets_;
  Upload rows_upload_, targets_upload_;
};

}  // namespace convoy
