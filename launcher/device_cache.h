// A whole data set in the memory of the device: a batch is then a list of sample numbers.
#pragma once

#include <span>

#include "core/data/dataset.h"
#include "core/device/target.h"
#include "core/device/transfer.h"
#include "launcher/backend.h"

namespace convoy {

class DeviceCache {
 public:
  // Reads all of `dataset` once, on one thread.  Batches have at most `rows` rows.  The backend must outlive it.
  // Throws what reading throws, and Error(kOutOfMemory) where it does not fit.
  DeviceCache(const Dataset& dataset, int rows, Backend& backend);

  // Gathers samples on the compute stream: pixels [rows,H,W,C], targets [rows], device memory.  Rows from ids.size() on
  // are copies of sample 0, to be ignored.
  void gather(std::span<const int64_t> ids, void* pixels, void* targets);

 private:
  void read(const Dataset& dataset);

  const int rows_;
  const int64_t sample_bytes_;
  Device& device_;
  FlatOps& ops_;
  Buffer pixels_, targets_;
  Upload ids_;
};

}  // namespace convoy
