#include "layers/batch_norm.h"
#include "tests/cases/case_parts.h"

namespace convoy {

Cases batch_norm_cases() {
  const auto batch_norm = [](bool add = false, bool relu = false) {
    return make<BatchNorm>(BatchNormOptions{.add = add, .relu = relu});
  };
  constexpr Shape kOdd{3, 5, 4, 17}, kMany{4, 11, 13, 24};
  const auto with = [](const BatchNormOptions& options) { return make<BatchNorm>(options); };
  const BatchNormOptions fixed{.inference = true}, fixed_relu{.relu = true, .inference = true},
      fixed_add_relu{.add = true, .relu = true, .inference = true};
  return {
      {"batch_norm_no_scale", with({.scale = false}), {kOdd}},
      {"batch_norm_no_shift", with({.shift = false}), {kOdd}},
      {"batch_norm_no_parameters", with({.scale = false, .shift = false}), {{3, 6, 6, 16}}},
      {"batch_norm_add_relu_no_scale", with({.add = true, .relu = true, .scale = false}), {kMany, kMany}},
      {.name = "batch_norm_no_scale_eval", .layer = with({.scale = false}), .inputs = {kOdd}, .mode = Mode::kEval},
      {"batch_norm_inference", with(fixed), {kOdd}},
      {"batch_norm_inference_many_rows", with(fixed), {kMany}},
      {"batch_norm_inference_no_scale", with({.scale = false, .inference = true}), {kOdd}},
      {"batch_norm_inference_no_shift", with({.shift = false, .inference = true}), {kMany}},
      {"batch_norm_inference_relu", with(fixed_relu), {kOdd}},
      {"batch_norm_inference_relu_many_rows", with(fixed_relu), {kMany}},
      {"batch_norm_inference_add_relu", with(fixed_add_relu), {kOdd, kOdd}},
      {"batch_norm_inference_add_relu_many_rows", with(fixed_add_relu), {kMany, kMany}},
      {.name = "batch_norm_inference_frozen", .layer = with(fixed), .inputs = {kOdd}, .wants_dw = false},
      {.name = "batch_norm_inference_relu_frozen", .layer = with(fixed_relu), .inputs = {kMany}, .wants_dw = false},
      {.name = "batch_norm_inference_add_relu_frozen",
       .layer = with(fixed_add_relu),
       .inputs = {kOdd, kOdd},
       .wants_dw = false},
      {.name = "batch_norm_inference_add_relu_no_shortcut",
       .layer = with(fixed_add_relu),
       .inputs = {kMany, kMany},
       .wants_dx = {true, false},
       .wants_dw = false},
      {.name = "batch_norm_inference_add_relu_only_shortcut",
       .layer = with(fixed_add_relu),
       .inputs = {kOdd, kOdd},
       .wants_dx = {false, true},
       .wants_dw = false},
      {.name = "batch_norm_inference_first_layer", .layer = with(fixed), .inputs = {kOdd}, .wants_dx = {false}},
      {.name = "batch_norm_inference_eval", .layer = with(fixed), .inputs = {kOdd}, .mode = Mode::kEval},
      {"batch_norm", batch_norm(), {{4, 6, 6, 16}}},
      {"batch_norm_odd", batch_norm(), {kOdd}},
      // The only mean must not be almost zero: nothing would be left to measure its error by.
      {.name = "batch_norm_one_channel", .layer = batch_norm(), .inputs = {{2, 7, 5, 1}}, .mean = 0.5},
      {"batch_norm_one_image", batch_norm(), {{1, 6, 7, 33}}},
      {"batch_norm_after_linear", batch_norm(), {{9, 1, 1, 20}}},
      {"batch_norm_one_element_per_channel", batch_norm(), {{1, 1, 1, 5}}},
      // Variance near epsilon.  With much more of it, dx of two elements is what is left of terms 1e5 times as large.
      {.name = "batch_norm_two_elements_per_channel", .layer = batch_norm(), .inputs = {{2, 1, 1, 8}}, .std = 0.003},
      {.name = "batch_norm_mean_100_std_tenth",
       .layer = batch_norm(),
       .inputs = {{4, 8, 8, 5}},
       .mean = 100,
       .std = 0.1},
      {"batch_norm_relu", batch_norm(false, kRelu), {{3, 6, 6, 16}}},
      {"batch_norm_relu_odd", batch_norm(false, kRelu), {kOdd}},
      {"batch_norm_add_relu", batch_norm(kAdd, kRelu), {{3, 6, 6, 16}, {3, 6, 6, 16}}},
      {"batch_norm_add_relu_odd", batch_norm(kAdd, kRelu), {kOdd, kOdd}},
      {.name = "batch_norm_frozen", .layer = batch_norm(), .inputs = {kOdd}, .wants_dw = false},
      {.name = "batch_norm_first_layer", .layer = batch_norm(), .inputs = {kOdd}, .wants_dx = {false}},
      {.name = "batch_norm_relu_frozen", .layer = batch_norm(false, kRelu), .inputs = {kOdd}, .wants_dw = false},
      {.name = "batch_norm_add_relu_only_shortcut",
       .layer = batch_norm(kAdd, kRelu),
       .inputs = {kOdd, kOdd},
       .wants_dx = {false, true},
       .wants_dw = false},
      {.name = "batch_norm_add_relu_no_shortcut",
       .layer = batch_norm(kAdd, kRelu),
       .inputs = {kOdd, kOdd},
       .wants_dx = {true, false}},
      // Rows and channels that a GPU cuts into several blocks.
      {"batch_norm_many_rows", batch_norm(), {{6, 11, 13, 24}}},
      {"batch_norm_relu_many_rows", batch_norm(false, kRelu), {{5, 13, 11, 8}}},
      {"batch_norm_add_relu_many_rows", batch_norm(kAdd, kRelu), {{4, 11, 13, 24}, {4, 11, 13, 24}}},
      {"batch_norm_add_relu_many_rows_odd", batch_norm(kAdd, kRelu), {{3, 17, 19, 5}, {3, 17, 19, 5}}},
      {"batch_norm_relu_wide", batch_norm(false, kRelu), {{2, 3, 3, 520}}},
      {"batch_norm_add_relu_wide", batch_norm(kAdd, kRelu), {{1, 3, 5, 520}, {1, 3, 5, 520}}},
      {.name = "batch_norm_add_relu_first_layer",
       .layer = batch_norm(kAdd, kRelu),
       .inputs = {{3, 6, 6, 16}, {3, 6, 6, 16}},
       .wants_dx = {false, false}},
      {.name = "batch_norm_eval", .layer = batch_norm(), .inputs = {kOdd}, .mode = Mode::kEval},
      {.name = "batch_norm_relu_eval", .layer = batch_norm(false, kRelu), .inputs = {kOdd}, .mode = Mode::kEval},
      {.name = "batch_norm_add_relu_eval",
       .layer = batch_norm(kAdd, kRelu),
       .inputs = {kOdd, kOdd},
       .mode = Mode::kEval},
  };
}

}  // namespace convoy
