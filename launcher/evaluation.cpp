#include "launcher/evaluation.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "layers/loss.h"

namespace convoy {
namespace {

// Of the images of one rank, or of all.
struct Counts {
  double loss = 0;
  int64_t correct = 0, correct_top5 = 0, images = 0;

  void add(const float* control) {
    loss += static_cast<double>(control[kLossSum]);
    correct += std::lround(control[kCorrect]);
    correct_top5 += std::lround(control[kCorrectTop5]);
    images += std::lround(control[kValidRows]);
  }
};

// Added in rank order.
Counts sum_over_ranks(const Counts& mine, Communicator& communicator) {
  std::string bytes(sizeof mine, '\0');
  std::memcpy(bytes.data(), &mine, sizeof mine);
  Counts all;
  for (const std::string& theirs : communicator.all_gather_bytes(bytes)) {
    Counts one;
    CHECK(theirs.size() == sizeof one);
    std::memcpy(&one, theirs.data(), sizeof one);
    all.loss += one.loss;
    all.correct += one.correct;
    all.correct_top5 += one.correct_top5;
    all.images += one.images;
  }
  return all;
}

void share_over_ranks(Confusion& confusion, Communicator& communicator) {
  Confusion all(confusion.classes());
  for (const std::string& theirs : communicator.all_gather_bytes(confusion.bytes())) all.add(theirs);
  confusion = std::move(all);
}

// The class of a row is its largest logit's, the first on ties: as the loss counts.
void add_rows(const Replica::Answers& answers, int rows, Confusion& confusion) {
  const auto classes = static_cast<size_t>(confusion.classes());
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    const auto logits = answers.logits.subspan(row * classes, classes);
    const int of = answers.targets[row].a;
    CHECK(of >= 0 && of < confusion.classes(), "a label that is no class");
    confusion.add(of, static_cast<int>(std::ranges::max_element(logits) - logits.begin()));
  }
}

}  // namespace

std::string to_text(const Evaluation& it) {
  char text[160];
  std::snprintf(text, sizeof text, "loss %.4f, top-1 %.2f%% (%lld of %lld)", it.loss, 100 * it.accuracy(),
                static_cast<long long>(it.correct), static_cast<long long>(it.images));
  std::string result = text;
  if (it.correct_top5) {
    std::snprintf(text, sizeof text, ", top-5 %.2f%%", 100 * it.share(*it.correct_top5));
    result += text;
  }
  return result;
}

Evaluation evaluate(Replica& replica, const DataSource& data, Communicator& communicator, Device& device,
                    const Loading& loading, Confusion* confusion) {
  const size_t ahead = device.runs_ahead() ? 2 : 0;
  const Sampler sampler = Sampler::for_evaluation(data.dataset->size(), replica.rows());
  Feed feed(data, sampler, replica, device,
            {.rank = communicator.rank(),
             .world = communicator.size(),
             .threads = loading.threads,
             .most_threads = loading.most_threads,
             .prefetch = loading.prefetch,
             .end_epoch = 1});
  Counts mine;
  const auto take = [&](size_t pending) {
    while (replica.pending_controls() > pending) mine.add(replica.take_control());
  };
  while (!feed.finished()) {
    feed.load_next();
    replica.evaluate();  // each micro-batch by itself: a sum of many would lose digits in f32
    replica.fetch_control();
    if (confusion != nullptr) add_rows(replica.answers(), replica.scalars().valid_rows, *confusion);
    take(ahead);
  }
  take(0);
  const Counts all = sum_over_ranks(mine, communicator);
  if (confusion != nullptr) share_over_ranks(*confusion, communicator);
  Evaluation result{all.loss / static_cast<double>(all.images), all.correct, {}, all.images};
  if (replica.classes() > kTop5) result.correct_top5 = all.correct_top5;
  return result;
}

}  // namespace convoy
