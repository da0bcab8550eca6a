// Brings the micro-batches of one rank to its replica, in order: through the loader, or out of the device's memory.
#pragma once

#include "core/data/loader.h"
#include "launcher/device_cache.h"
#include "launcher/replica.h"

namespace convoy {

struct DataSource {
  const Dataset* dataset = nullptr;
  DeviceCache* cache = nullptr;  // of all of it; null: the loader reads
};

class Feed {
 public:
  // Starts to read.  All arguments must outlive it; options as for a Loader.  `first_row` of the global batch is row 0
  // of the sampler's.
  Feed(const DataSource& source, const Sampler& sampler, Replica& replica, Device& device,
       const Loader::Options& options, int64_t first_row = 0);
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  bool finished() const { return loader_.finished(); }
  // The next micro-batch becomes the replica's, with valid_rows and first_row of its scalars.  Returns the seconds that
  // this waited for the data.  Throws what reading threw.  Requires: !finished().
  double load_next();
  const Loader& loader() const { return loader_; }

 private:
  // Sample numbers alone: what the loader hands out where the cache has the rest.
  class NumbersOnly : public Dataset {
   public:
    explicit NumbersOnly(const Dataset& all) : all_(all) {}
    int64_t size() const override { return all_.size(); }
    Shape sample() const override { return {}; }
    int classes() const override { return all_.classes(); }
    std::string fingerprint() const override { return all_.fingerprint(); }
    int read(int64_t, int64_t, uint8_t*) const override { return 0; }

   private:
    const Dataset& all_;
  };

  const DataSource source_;
  const MixOptions mix_;
  const int64_t first_row_;
  const NumbersOnly numbers_;
  Replica& replica_;
  Loader loader_;
};

}  // namespace convoy
