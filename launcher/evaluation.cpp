#include "launcher/evaluation.h"

#include <cmath>
#include <cstring>

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

Evaluation evaluate(Replica& replica, const DataSource& data, Communicator& communicator, Device& device,
                    const Loading& loading) {
  const size_t ahead = device.runs_ahead() ? 2 : 0;
  const Sampler sampler = Sampler::for_evaluation(data.dataset->size(), replica.rows());
  Feed feed(data, sampler, replica, device,
            {.rank = communicator.rank(),
             .world = communicator.size(),
             .threads = loading.threads,
             .most_threads = loading.most_threads,
             .prefetch = loading.prefetch,
             .end_epoch = 1});
  Evaluation mine;
  const auto take = [&](size_t pending) {
    while (replica.pending_controls() > pending) {
      const float* control = replica.take_control();
      mine.loss += static_cast<double>(control[kLossSum]);
      mine.correct += std::lround(control[kCorrect]);
      mine.images += std::lround(control[kValidRows]);
    }
  };
  while (!feed.finished()) {
    feed.load_next();
    replica.evaluate();  // each micro-batch by itself: a sum of many would lose digits in f32
    replica.fetch_control();
    take(ahead);
  }
  take(0);
  Evaluation all = sum_over_ranks(mine, communicator);
  all.loss /= static_cast<double>(all.images);
  return all;
}

}  // namespace convoy
