#include "layers/adaptive_pool.h"
#include "layers/multiply.h"
#include "layers/pool.h"
#include "layers/softmax.h"
#include "layers/stochastic_depth.h"
#include "tests/cases/case_parts.h"

namespace convoy {

Cases gate_cases() {
  constexpr Shape kEven{2, 6, 6, 16}, kOdd{3, 5, 4, 17}, kImages{4, 23, 23, 17};
  const auto factors = [](const Shape& x) { return Shape{x.n, 1, 1, x.c}; };
  const auto pool = [](int h, int w) { return make<AdaptiveAveragePool>(h, w); };
  const auto depth = [](float rate) { return make<StochasticDepth>(rate, 5U); };
  const auto multiply = make<Multiply>(), softmax = make<Softmax>(), largest = make<GlobalMax>();
  return {
      {"multiply", multiply, {kEven, kEven}},
      {"multiply_odd", multiply, {kOdd, kOdd}},
      {"multiply_by_factors", multiply, {kEven, factors(kEven)}},
      {"multiply_by_factors_odd", multiply, {kOdd, factors(kOdd)}},
      {"multiply_by_factors_threads", multiply, {kImages, factors(kImages)}},
      {"multiply_by_factors_one_pixel", multiply, {{5, 1, 1, 33}, {5, 1, 1, 33}}},
      {"multiply_by_factors_wide", multiply, {{2, 3, 4, 264}, {2, 1, 1, 264}}},
      {.name = "multiply_only_first", .layer = multiply, .inputs = {kOdd, kOdd}, .wants_dx = {true, false}},
      {.name = "multiply_only_factors", .layer = multiply, .inputs = {kOdd, factors(kOdd)}, .wants_dx = {false, true}},
      {.name = "multiply_eval", .layer = multiply, .inputs = {kOdd, factors(kOdd)}, .mode = Mode::kEval},
      {"softmax", softmax, {{6, 1, 1, 10}}},
      {"softmax_of_pixels", softmax, {kOdd}},
      {"softmax_wide", softmax, {{3, 1, 1, 1000}}},
      {"softmax_one_channel", softmax, {{2, 2, 2, 1}}},
      {"softmax_threads", softmax, {kImages}},
      {.name = "softmax_large", .layer = softmax, .inputs = {{16, 1, 1, 17}}, .std = 60},
      {.name = "softmax_eval", .layer = softmax, .inputs = {kEven}, .mode = Mode::kEval},
      {.name = "stochastic_depth", .layer = depth(0.5F), .inputs = {kEven}, .scalars = {.step = 7, .seed = 42}},
      {.name = "stochastic_depth_odd",
       .layer = depth(0.3F),
       .inputs = {{19, 3, 3, 5}},
       .scalars = {.step = (int64_t{1} << 31) + 5, .first_row = 1000, .seed = ~uint64_t{0}}},
      {.name = "stochastic_depth_of_one_element",
       .layer = depth(0.4F),
       .inputs = {{70, 1, 1, 1}},
       .scalars = {.step = 2, .seed = 3}},
      {.name = "stochastic_depth_threads", .layer = depth(0.2F), .inputs = {kImages}, .scalars = {.step = 3}},
      {.name = "stochastic_depth_rate_0", .layer = depth(0), .inputs = {kOdd}},
      {.name = "stochastic_depth_no_gradient", .layer = depth(0.5F), .inputs = {kOdd}, .wants_dx = {false}},
      {.name = "stochastic_depth_eval", .layer = depth(0.5F), .inputs = {kOdd}, .mode = Mode::kEval},
      {"global_max", largest, {{2, 7, 7, 16}}},
      {"global_max_odd", largest, {{3, 5, 4, 33}}},
      {"global_max_one_pixel", largest, {{1, 1, 1, 5}}},
      {"global_max_threads", largest, {kImages}},
      {.name = "global_max_eval", .layer = largest, .inputs = {kOdd}, .mode = Mode::kEval},
      {"adaptive_average_pool_7x7", pool(7, 7), {{2, 14, 14, 16}}},
      {"adaptive_average_pool_overlap", pool(3, 4), {{2, 7, 6, 17}}},
      {"adaptive_average_pool_to_one", pool(1, 1), {{2, 5, 4, 33}}},
      {"adaptive_average_pool_same_size", pool(5, 4), {kOdd}},
      {"adaptive_average_pool_larger", pool(7, 7), {{2, 3, 2, 16}}},
      {"adaptive_average_pool_threads", pool(6, 5), {kImages}},
      {.name = "adaptive_average_pool_eval", .layer = pool(2, 3), .inputs = {kOdd}, .mode = Mode::kEval},
      {.name = "multiply_efficientnet",
       .layer = multiply,
       .inputs = {{32, 28, 28, 240}, {32, 1, 1, 240}},
       .benchmark = true},
  };
}

}  // namespace convoy
