#include "layers/group_norm.h"
#include "layers/lrn.h"
#include "tests/cases/case_parts.h"

namespace convoy {

Cases norm_cases() {
  const auto group_norm = [](int groups) { return make<GroupNorm>(GroupNormOptions{.groups = groups}); };
  const auto layer_norm = make<LayerNorm>(1e-5F);
  constexpr Shape kOdd{3, 5, 4, 17}, kWide{2, 3, 3, 150};
  return {
      {"group_norm", group_norm(4), {{3, 6, 5, 16}}},
      {"group_norm_one_group", group_norm(1), {kOdd}},
      {"group_norm_of_each_channel", group_norm(17), {kOdd}},
      {"group_norm_across_blocks", group_norm(2), {{2, 5, 7, 40}}},  // groups of 20 channels
      {"group_norm_large_groups", group_norm(2), {{2, 15, 13, 32}}},
      {"group_norm_of_features", group_norm(5), {{4, 1, 1, 30}}},
      {.name = "group_norm_mean_100_std_tenth",
       .layer = group_norm(3),
       .inputs = {{2, 8, 8, 24}},
       .mean = 100,
       .std = 0.1},
      {.name = "group_norm_frozen", .layer = group_norm(4), .inputs = {{2, 4, 4, 20}}, .wants_dw = false},
      {.name = "group_norm_first_layer", .layer = group_norm(3), .inputs = {{2, 4, 4, 9}}, .wants_dx = {false}},
      {.name = "group_norm_eval", .layer = group_norm(2), .inputs = {{2, 5, 4, 34}}, .mode = Mode::kEval},
      // Large alphas: with the usual ones, y is almost x.
      {"lrn", make<Lrn>(LrnOptions{.alpha = 2}), {{2, 4, 3, 16}}},
      {"lrn_odd", make<Lrn>(LrnOptions{.alpha = 1, .k = 2}), {kOdd}},
      {"lrn_even_size", make<Lrn>(LrnOptions{4, 3, 0.75F, 1}), {{2, 3, 3, 20}}},
      {"lrn_other_power", make<Lrn>(LrnOptions{3, 1.5F, 0.6F, 0.5F}), {{2, 3, 4, 33}}},
      {"lrn_larger_than_the_channels", make<Lrn>(LrnOptions{9, 4, 1, 1}), {{2, 5, 2, 3}}},
      {"lrn_of_one_channel", make<Lrn>(LrnOptions{1, 1, 0.75F, 1}), {{2, 5, 2, 1}}},
      {.name = "lrn_no_gradient", .layer = make<Lrn>(LrnOptions{.alpha = 1}), .inputs = {kOdd}, .wants_dx = {false}},
      {.name = "lrn_eval", .layer = make<Lrn>(LrnOptions{}), .inputs = {kOdd}, .mode = Mode::kEval},
      {"layer_norm", layer_norm, {{3, 6, 5, 16}}},
      {"layer_norm_odd", layer_norm, {kOdd}},
      {"layer_norm_wide", layer_norm, {kWide}},
      {"layer_norm_of_features", layer_norm, {{70, 1, 1, 40}}},
      {"layer_norm_very_wide", layer_norm, {{2, 1, 2, 2056}}},
      {.name = "layer_norm_mean_100_std_tenth",
       .layer = layer_norm,
       .inputs = {{2, 4, 4, 48}},
       .mean = 100,
       .std = 0.1},
      {.name = "layer_norm_frozen", .layer = layer_norm, .inputs = {kOdd}, .wants_dw = false},
      {.name = "layer_norm_first_layer", .layer = layer_norm, .inputs = {kOdd}, .wants_dx = {false}},
      {.name = "layer_norm_eval", .layer = layer_norm, .inputs = {kOdd}, .mode = Mode::kEval},
  };
}

}  // namespace convoy
