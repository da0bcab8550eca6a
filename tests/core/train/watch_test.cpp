// The literals are those of PyTorch and Keras: tests/oracles/evaluations.py.
#include "core/train/watch.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace convoy {
namespace {

using Values = std::vector<double>;

const Values kLosses = {2.0, 1.5,     1.4999, 1.49, 1.6, 1.4895, 1.48, 1.47999, 1.7, 1.8, 1.9, 1.2, 1.21,
                        1.2, 1.19999, 1.3,    1.3,  1.3, 1.3,    1.1,  1.3,     1.3, 1.3, 1.3, 1.3, 1.3};
const Values kAccuracies = {0.1,  0.3,   0.30001, 0.29, 0.31, 0.3101, 0.4, 0.4, 0.39,
                            0.41, 0.405, 0.4101,  0.41, 0.41, 0.5,    0.2, 0.3, 0.4};

const Values& values(Metric metric) { return metric == Metric::kLoss ? kLosses : kAccuracies; }

struct PlateauCase {
  PlateauOptions options;
  Values rates;  // after each value
};

const PlateauCase kPlateaus[] = {
    {{.factor = 0.1, .patience = 2},
     {0.1,
      0.1,
      0.1,
      0.1,
      0.1,
      0.1,
      0.1,
      0.1,
      0.1,
      0.010000000000000002,
      0.010000000000000002,
      0.010000000000000002,
      0.010000000000000002,
      0.010000000000000002,
      0.0010000000000000002,
      0.0010000000000000002,
      0.0010000000000000002,
      0.00010000000000000003,
      0.00010000000000000003,
      0.00010000000000000003,
      0.00010000000000000003,
      0.00010000000000000003,
      1.0000000000000004e-05,
      1.0000000000000004e-05,
      1.0000000000000004e-05,
      1.0000000000000004e-06}},
    {{.factor = 0.5, .patience = 0, .threshold = 0.01, .threshold_mode = ThresholdMode::kAbs, .cooldown = 2},
     {0.1,       0.1,       0.05,      0.05,       0.05,       0.05,       0.025,       0.025,      0.025,
      0.0125,    0.0125,    0.0125,    0.00625,    0.00625,    0.00625,    0.003125,    0.003125,   0.003125,
      0.0015625, 0.0015625, 0.0015625, 0.00078125, 0.00078125, 0.00078125, 0.000390625, 0.000390625}},
    {{.factor = 0.3, .patience = 1, .threshold = 0.1, .cooldown = 1, .min_lr = 0.004},
     {0.1,   0.1,   0.1,   0.03,  0.03,  0.03,  0.009, 0.009, 0.009, 0.004, 0.004, 0.004, 0.004,
      0.004, 0.004, 0.004, 0.004, 0.004, 0.004, 0.004, 0.004, 0.004, 0.004, 0.004, 0.004, 0.004}},
    {{.metric = Metric::kAccuracy, .factor = 0.7, .patience = 1, .threshold = 0.02},
     {0.1, 0.1, 0.1, 0.06999999999999999, 0.06999999999999999, 0.06999999999999999, 0.06999999999999999,
      0.06999999999999999, 0.048999999999999995, 0.048999999999999995, 0.048999999999999995, 0.0343, 0.0343,
      0.024009999999999997, 0.024009999999999997, 0.024009999999999997, 0.016806999999999996, 0.016806999999999996}},
    {{.metric = Metric::kAccuracy,
      .factor = 0.2,
      .patience = 0,
      .threshold = 0.005,
      .threshold_mode = ThresholdMode::kAbs,
      .min_lr = 0.001},
     {0.1, 0.1, 0.020000000000000004, 0.004000000000000001, 0.004000000000000001, 0.001, 0.001, 0.001, 0.001, 0.001,
      0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001}},
};

TEST(Plateau, IsPytorchs) {
  for (const PlateauCase& it : kPlateaus) {
    Plateau plateau(it.options, 0.1);
    double before = 0.1;
    for (size_t i = 0; i < it.rates.size(); ++i) {
      EXPECT_EQ(plateau.observe(values(it.options.metric)[i]), it.rates[i] != before) << i;
      EXPECT_EQ(plateau.learning_rate(), it.rates[i]) << i;
      before = it.rates[i];
    }
  }
}

TEST(Plateau, GoesOnFromItsStateAnywhere) {
  for (const PlateauCase& it : kPlateaus) {
    for (size_t stop = 0; stop < it.rates.size(); ++stop) {
      Plateau first(it.options, 0.1);
      for (size_t i = 0; i < stop; ++i) first.observe(values(it.options.metric)[i]);
      Plateau second(it.options, 0.1);
      second.set_state(first.state());
      for (size_t i = stop; i < it.rates.size(); ++i) {
        second.observe(values(it.options.metric)[i]);
        EXPECT_EQ(second.learning_rate(), it.rates[i]) << stop << " " << i;
      }
    }
  }
}

struct StopCase {
  EarlyStoppingOptions options;
  size_t evaluations;  // 0: goes on
};

const StopCase kStops[] = {
    {{.patience = 0}, 5},
    {{.patience = 1}, 5},
    {{.patience = 3}, 11},
    {{.patience = 4}, 19},
    {{.patience = 2, .min_delta = 0.1}, 4},
    {{.patience = 9, .min_delta = 0.5}, 12},
    {{.metric = Metric::kAccuracy, .patience = 1}, 4},
    {{.metric = Metric::kAccuracy, .patience = 2}, 9},
    {{.metric = Metric::kAccuracy, .patience = 2, .min_delta = 0.02}, 4},
    {{.metric = Metric::kAccuracy, .patience = 5}, 0},
};

TEST(EarlyStopping, IsKeras) {
  for (const StopCase& it : kStops) {
    EarlyStopping stopping(it.options);
    size_t seen = 0;
    for (const double value : values(it.options.metric)) {
      if (stopping.stops()) break;
      EarlyStopping later(it.options);  // from the state of the one before
      later.set_state(stopping.state());
      later.observe(value);
      stopping = later;
      ++seen;
    }
    EXPECT_EQ(stopping.stops() ? seen : 0, it.evaluations) << it.options.patience << " " << it.options.min_delta;
  }
}

TEST(Watch, WhatIsNotFiniteIsNeverBetter) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  for (const Metric metric : {Metric::kLoss, Metric::kAccuracy}) {
    for (const double value : {nan, infinity, -infinity}) {
      EXPECT_FALSE(is_better(metric, value, {}));
      EarlyStopping stopping({.metric = metric, .patience = 2});
      stopping.observe(value);
      EXPECT_FALSE(stopping.state().best.has_value());
      EXPECT_FALSE(stopping.stops());
      stopping.observe(0.5);
      EXPECT_EQ(stopping.state().best, 0.5);
    }
    EXPECT_FALSE(is_better(metric, nan, 0.5));
    EXPECT_FALSE(is_better(metric, 0.5, 0.5));
  }
  EXPECT_TRUE(is_better(Metric::kLoss, 0.4, 0.5));
  EXPECT_TRUE(is_better(Metric::kAccuracy, 0.6, 0.5));
}

}  // namespace
}  // namespace convoy
