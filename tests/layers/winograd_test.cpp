// Winograd's algorithm on its own, also where the convolution layer prefers another: against sums in double.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "layers/winograd_cpu.h"

namespace convoy {
namespace {

using winograd::Tiles;

struct Problem {
  int images, height, width, inputs, outputs, low_h, low_w, high_h, high_w;
};

std::vector<float> random_values(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> values(-1, 1);
  std::vector<float> result(static_cast<size_t>(count));
  for (float& value : result) value = values(random);
  return result;
}

ValueType blocked(const Shape& shape) { return {shape, Dtype::kF32, {winograd::kChannelBlock}}; }

size_t at(const Shape& s, int n, int h, int w, int c) {
  const int blocks = (s.c + 7) / 8;
  return ((((static_cast<size_t>(n) * blocks + c / 8) * s.h + h) * s.w + w) * 8) + c % 8;
}

// Random values, with zeros behind the last channel.
std::vector<float> random_activation(const Shape& shape, unsigned seed) {
  const std::vector<float> values = random_values(blocked(shape).bytes() / 4, seed);
  std::vector<float> result(values.size());
  for (int n = 0; n < shape.n; ++n) {
    for (int h = 0; h < shape.h; ++h) {
      for (int w = 0; w < shape.w; ++w) {
        for (int c = 0; c < shape.c; ++c) result[at(shape, n, h, w, c)] = values[at(shape, n, h, w, c)];
      }
    }
  }
  return result;
}

// Largest difference, in parts of the largest element wanted.
double difference(const std::vector<float>& got, const std::vector<double>& wanted) {
  double largest = 0, most = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    largest = std::max(largest, std::abs(wanted[i]));
    if (!std::isfinite(got[i])) return INFINITY;
    most = std::max(most, std::abs(double{got[i]} - wanted[i]));
  }
  return most / largest;
}

struct Results {
  std::vector<float> y, dx, dw, dbias;
};

class WinogradTest : public testing::TestWithParam<Problem> {
 protected:
  const Problem& p_ = GetParam();
  const Shape x_shape_{p_.images, p_.height, p_.width, p_.inputs};
  const Shape y_shape_{p_.images, p_.height + p_.low_h + p_.high_h - 2, p_.width + p_.low_w + p_.high_w - 2,
                       p_.outputs};
  const std::vector<float> x_ = random_activation(x_shape_, 1), dy_ = random_activation(y_shape_, 2);
  const std::vector<float> add_ = random_activation(y_shape_, 3);
  const std::vector<float> w_ = random_values(int64_t{9} * p_.inputs * p_.outputs, 4),
                           bias_ = random_values(p_.outputs, 5);

  Results run(int threads) const {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    const Tiles tiles(blocked(x_shape_), blocked(y_shape_), p_.low_h, p_.low_w), gradient = tiles.data_gradient();
    // What was there before does not matter.
    std::vector<float> filters(std::max(tiles.filter_bytes(), gradient.filter_bytes()) / 4, NAN);
    std::vector<float> workspace(std::max(tiles.workspace_bytes(), gradient.workspace_bytes()) / 4, NAN);
    Results r{add_, std::vector<float>(x_.size(), NAN), std::vector<float>(w_.size(), NAN),
              std::vector<float>(bias_.size(), NAN)};
    winograd::transform_filters(tiles, w_.data(), filters.data());
    winograd::convolve(tiles, x_.data(), filters.data(), {bias_.data(), r.y.data(), true}, r.y.data(),
                       workspace.data());
    winograd::transform_filters(gradient, w_.data(), filters.data());
    winograd::convolve(gradient, dy_.data(), filters.data(), {}, r.dx.data(), workspace.data());
    winograd::weight_gradient(tiles, x_.data(), dy_.data(), r.dw.data(), r.dbias.data(), filters.data(),
                              workspace.data());
    omp_set_num_threads(before);
    return r;
  }
};

TEST_P(WinogradTest, EqualsSumsInDouble) {
  if (!winograd::available()) GTEST_SKIP() << "this processor has no AVX2";
  std::vector<double> y(add_.begin(), add_.end()), dx(x_.size()), dw(w_.size()), dbias(bias_.size());
  for (int n = 0; n < y_shape_.n; ++n) {
    for (int h = 0; h < y_shape_.h; ++h) {
      for (int w = 0; w < y_shape_.w; ++w) {
        for (int o = 0; o < y_shape_.c; ++o) {
          const size_t to = at(y_shape_, n, h, w, o);
          const double dy = dy_[to];
          double sum = y[to] + bias_[static_cast<size_t>(o)];
          dbias[static_cast<size_t>(o)] += dy;
          for (int place = 0; place < 9; ++place) {
            const int from_h = h - p_.low_h + place / 3, from_w = w - p_.low_w + place % 3;
            if (from_h < 0 || from_h >= x_shape_.h || from_w < 0 || from_w >= x_shape_.w) continue;
            for (int i = 0; i < x_shape_.c; ++i) {
              const size_t from = at(x_shape_, n, from_h, from_w, i);
              const size_t weight = (static_cast<size_t>(o) * 9 + place) * p_.inputs + i;
              sum += double{x_[from]} * w_[weight];
              dx[from] += dy * w_[weight];
              dw[weight] += dy * x_[from];
            }
          }
          y[to] = std::max(0.0, sum);
        }
      }
    }
  }
  const Results r = run(2);
  constexpr double kMost = 5e-6;
  EXPECT_LE(difference(r.y, y), kMost);
  EXPECT_LE(difference(r.dx, dx), kMost);
  EXPECT_LE(difference(r.dw, dw), kMost);
  EXPECT_LE(difference(r.dbias, dbias), 1e-6);
}

TEST_P(WinogradTest, HasTheSameBitsWithAnyNumberOfThreads) {
  if (!winograd::available()) GTEST_SKIP() << "this processor has no AVX2";
  const Results one = run(1), three = run(3);
  EXPECT_EQ(one.y, three.y);
  EXPECT_EQ(one.dx, three.dx);
  EXPECT_EQ(one.dw, three.dw);
  EXPECT_EQ(one.dbias, three.dbias);
}

TEST(WinogradEpilogueTest, KeepsNaN) {
  if (!winograd::available()) GTEST_SKIP() << "this processor has no AVX2";
  const ValueType type = blocked({1, 4, 4, 8});
  const Tiles tiles(type, type, 1, 1);
  const std::vector<float> x(4 * 4 * 8, NAN), w(9 * 8 * 8, 1);
  std::vector<float> y(x.size()), filters(static_cast<size_t>(tiles.filter_bytes() / 4));
  std::vector<float> workspace(static_cast<size_t>(tiles.workspace_bytes() / 4));
  winograd::transform_filters(tiles, w.data(), filters.data());
  winograd::convolve(tiles, x.data(), filters.data(), {.relu = true}, y.data(), workspace.data());
  for (const float value : y) EXPECT_TRUE(std::isnan(value));
}

TEST(WinogradWeightsTest, SumsLargeImagesIntoTheBias) {
  if (!winograd::available()) GTEST_SKIP() << "this processor has no AVX2";
  const ValueType type = blocked({1, 224, 224, 8});
  const Tiles tiles(type, type, 1, 1);
  const std::vector<float> dy(static_cast<size_t>(type.bytes() / 4), 0.1F), x(dy.size());
  std::vector<float> dw(9 * 8 * 8), dbias(8), filters(static_cast<size_t>(tiles.filter_bytes() / 4));
  std::vector<float> workspace(static_cast<size_t>(tiles.workspace_bytes() / 4));
  winograd::weight_gradient(tiles, x.data(), dy.data(), dw.data(), dbias.data(), filters.data(), workspace.data());
  for (const float value : dbias) EXPECT_NEAR(value / (224 * 224 * double{0.1F}), 1, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Problems, WinogradTest,
                         testing::Values(Problem{1, 4, 4, 16, 16, 1, 1, 1, 1},    // one tile
                                         Problem{2, 7, 9, 8, 24, 1, 1, 1, 1},     // rests of tiles, odd blocks
                                         Problem{1, 3, 6, 17, 5, 0, 0, 0, 0},     // one row, channels behind the last
                                         Problem{3, 12, 11, 33, 40, 2, 0, 2, 1},  // padding of all kinds
                                         Problem{5, 30, 29, 16, 48, 1, 1, 1, 1},  // more tiles than at once
                                         Problem{1, 1, 1, 3, 3, 1, 1, 1, 1}));    // one pixel

}  // namespace
}  // namespace convoy
