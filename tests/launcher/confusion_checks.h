// What a table of confusions is held to, on any device.
#pragma once

#include <gtest/gtest.h>

#include <mutex>
#include <numeric>
#include <vector>

#include "dist/thread_group.h"
#include "launcher/evaluation.h"
#include "launcher/setup.h"

namespace convoy {

struct Confused {
  Evaluation evaluation;
  std::vector<int64_t> images;  // [of][as]
};

// By a network that has learned nothing.  Every rank must have the same.
inline Confused confused(const Experiment& experiment, int ranks) {
  Confused result;
  std::mutex mutex;
  run_thread_group(ranks, [&](Communicator& communicator) {
    Backend backend = make_backend(experiment, communicator, 1);
    BadSamples bad_samples(Log(LogLevel::kInfo, communicator.rank()), communicator.rank());
    const Datasets data = open_datasets(experiment.data, experiment.experiment.seed, bad_samples);
    const ResolvedBatch batch = resolve(experiment.batch, 1);
    Model model = build_model(experiment, data.test->sample(), batch.micro);
    ReplicaOptions options =
        replica_options(experiment, {{.batch = batch, .sample = data.test->sample()}}, model.graph, backend, 0, 1);
    options.keeps_logits = true;
    Replica replica(std::move(model), backend, options);
    replica.initialize(experiment.experiment.seed, {});
    Confusion confusion(replica.classes());
    const Evaluation evaluation =
        evaluate(replica, {data.test.get(), nullptr}, communicator, *backend.device, {}, &confusion);

    std::vector<int64_t> of_class(static_cast<size_t>(confusion.classes())), images;
    std::vector<uint8_t> pixels(static_cast<size_t>(data.test->sample().elements()));
    for (int64_t i = 0; i < data.test->size(); ++i) {
      ++of_class[static_cast<size_t>(data.test->read(i, 0, pixels.data()))];
    }
    int64_t correct = 0;
    for (int of = 0; of < confusion.classes(); ++of) {
      EXPECT_EQ(confusion.images(of), of_class[static_cast<size_t>(of)]) << of;
      correct += confusion.correct(of);
      for (int as = 0; as < confusion.classes(); ++as) images.push_back(confusion.images(of, as));
    }
    EXPECT_EQ(correct, evaluation.correct);
    EXPECT_EQ(std::accumulate(images.begin(), images.end(), int64_t{0}), evaluation.images);
    const std::lock_guard lock(mutex);
    if (!result.images.empty()) {
      EXPECT_EQ(images, result.images);
    }
    result = {evaluation, images};
  });
  return result;
}

inline void expect_confused_alike(const Experiment& experiment) {
  const Confused alone = confused(experiment, 1);
  EXPECT_GT(std::ranges::count_if(alone.images, [](int64_t count) { return count > 0; }), 8);  // not all as one class
  EXPECT_GT(alone.evaluation.correct_top5.value(), alone.evaluation.correct);
  EXPECT_LT(alone.evaluation.correct_top5.value(), alone.evaluation.images);
  for (const int ranks : {2, 3}) {
    const Confused several = confused(experiment, ranks);
    EXPECT_EQ(several.images, alone.images) << ranks;
    EXPECT_EQ(several.evaluation.correct_top5, alone.evaluation.correct_top5) << ranks;
  }
}

}  // namespace convoy
