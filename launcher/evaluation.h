// How well a network does on a data set it was not trained on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "dist/communicator.h"
#include "launcher/confusion.h"
#include "launcher/feed.h"

namespace convoy {

struct Evaluation {
  double loss = 0;  // mean over the images, without label smoothing and class weights
  int64_t correct = 0;
  std::optional<int64_t> correct_top5;  // where there are more than five classes
  int64_t images = 0;
  double accuracy() const { return share(correct); }
  double share(int64_t count) const {
    return images > 0 ? static_cast<double>(count) / static_cast<double>(images) : 0;
  }
};
// "loss 0.1234, top-1 91.20% (912 of 1000), top-5 99.10%"
std::string to_text(const Evaluation& evaluation);

// How a run reads its data; see Loader::Options.
struct Loading {
  int threads = 1;       // 0: as many as needed …
  int most_threads = 1;  // … but no more than these
  int prefetch = 2;
};

// Collective.  Counts each image of `data` exactly once for any number of ranks; every rank gets the same result.
// `communicator` tells the ranks each other's counts; `device` is the replica's.  With `confusion`, which is empty and
// of the network's classes, each image is counted there, too: that needs ReplicaOptions::keeps_logits, and waits for
// the device after each micro-batch.
Evaluation evaluate(Replica& replica, const DataSource& data, Communicator& communicator, Device& device,
                    const Loading& loading, Confusion* confusion = nullptr);

}  // namespace convoy
