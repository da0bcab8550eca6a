#include "launcher/evaluation.h"

#include <cmath>
#include <cstring>

#include "core/data/loader.h"

namespace convoy {
namespace {

// Loss sums and counts over all ranks, added in rank order.
Evaluation sum_over_ranks(const Evaluation& mine, Communicator& communicator) {
  std::string bytes(sizeof mine, '\0');
  std::memcpy(bytes.data(), &mine, sizeof mine);
  Evaluation all;
  for (const std::string& theirs : communicator.all_gather_bytes(bytes)) {
    Evaluation one;
    CHECK(theirs.size() == sizeof one);
    std::memcpy(&one, theirs.data(), sizeof one);
    all.loss += one.loss;
    all.correct += one.correct;
    all.images += one.images;
  }
  return all;
}

}  // namespace

Evaluation evaluate(Replica& replica, const Dataset& dataset, Communicator& communicator, const Loading& loading) {
  const Sampler sampler = Sampler::for_evaluation(dataset.size(), replica.rows());
  const std::unique_ptr<Allocator> host = make_host_allocator();
  Loader loader(dataset, sampler, *host,
                {.rank = communicator.rank(),
                 .world = communicator.size(),
                 .threads = loading.threads,
                 .prefetch = loading.prefetch,
                 .end_epoch = 1});
  Evaluation mine;
  while (!loader.finished()) {
    const Batch& batch = loader.next();
    replica.load(batch.pixels, batch.labels);
    replica.scalars().valid_rows = batch.valid;
    replica.clear_control();  // each micro-batch by itself: a sum of many would lose digits in f32
    replica.evaluation().run();
    mine.loss += static_cast<double>(replica.control()[kLossSum]);
    mine.correct += std::lround(replica.control()[kCorrect]);
    mine.images += std::lround(replica.control()[kValidRows]);
  }
  Evaluation all = sum_over_ranks(mine, communicator);
  all.loss /= static_cast<double>(all.images);
  return all;
}

}  // namespace convoy
