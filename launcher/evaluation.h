// How well a network does on a data set it was not trained on.
#pragma once

#include <cstdint>

#include "dist/communicator.h"
#include "launcher/feed.h"

namespace convoy {

struct Evaluation {
  double loss = 0;  // mean over the images
  int64_t correct = 0;
  int64_t images = 0;
  double accuracy() const { return images > 0 ? static_cast<double>(correct) / static_cast<double>(images) : 0; }
};

// How a run reads its data; see Loader::Options.
struct Loading {
  int threads = 1;       // 0: as many as needed …
  int most_threads = 1;  // … but no more than these
  int prefetch = 2;
};

// Collective.  Counts each image of `data` exactly once for any number of ranks; every rank gets the same result.
// `communicator` tells the ranks each other's counts; `device` is the replica's.
Evaluation evaluate(Replica& replica, const DataSource& data, Communicator& communicator, Device& device,
                    const Loading& loading);

}  // namespace convoy
