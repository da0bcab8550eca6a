#include "layers/pad.h"
#include "layers/upsample.h"
#include "tests/cases/case_parts.h"

namespace convoy {

Cases image_cases() {
  const auto upsample = [](int height, int width, bool bilinear) {
    return make<Upsample>(UpsampleOptions{height, width, bilinear});
  };
  constexpr bool kBilinear = true;
  return {
      {"upsample", upsample(2, 2, false), {{2, 4, 5, 16}}},
      {"upsample_scales_differ", upsample(3, 1, false), {{2, 3, 4, 17}}},
      {"upsample_of_one_pixel", upsample(4, 5, false), {{3, 1, 1, 5}}},
      {"upsample_bilinear", upsample(2, 2, kBilinear), {{2, 4, 5, 16}}},
      {"upsample_bilinear_scales_differ", upsample(3, 4, kBilinear), {{2, 3, 5, 33}}},
      {"upsample_bilinear_by_1", upsample(1, 2, kBilinear), {{1, 4, 3, 3}}},
      {"upsample_bilinear_of_one_pixel", upsample(3, 2, kBilinear), {{2, 1, 1, 8}}},
      {.name = "upsample_no_gradient",
       .layer = upsample(2, 2, kBilinear),
       .inputs = {{2, 3, 3, 8}},
       .wants_dx = {false}},
      {.name = "upsample_eval", .layer = upsample(2, 3, kBilinear), .inputs = {{2, 3, 3, 5}}, .mode = Mode::kEval},
      {"pad", make<Pad>(PadOptions{1, 1, 1, 1}), {{2, 5, 6, 16}}},
      {"pad_sides_differ", make<Pad>(PadOptions{0, 1, 2, 3}), {{2, 5, 4, 17}}},
      {"pad_with_a_value", make<Pad>(PadOptions{2, 0, 0, 1, -1.5F}), {{3, 4, 5, 33}}},
      {"pad_one_channel", make<Pad>(PadOptions{1, 2, 3, 0, 0.25F}), {{2, 3, 3, 1}}},
      {"pad_by_nothing", make<Pad>(PadOptions{}), {{2, 3, 4, 5}}},
      {.name = "pad_no_gradient",
       .layer = make<Pad>(PadOptions{1, 1, 1, 1}),
       .inputs = {{2, 5, 6, 16}},
       .wants_dx = {false}},
      {.name = "pad_eval", .layer = make<Pad>(PadOptions{0, 1, 0, 1}), .inputs = {{2, 5, 6, 3}}, .mode = Mode::kEval},
  };
}

}  // namespace convoy
