#include "layers/lrn.h"

#include "layers/checks.h"

namespace convoy {

Shape Lrn::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  expect_at_least(options_.size, 1, "size");
  const auto expect = [](bool fine, const char* what, float found) {
    if (!fine) throw Error(ExitCode::kConfig, std::string(what) + ", found " + std::to_string(found));
  };
  expect(options_.alpha >= 0, "alpha: expected 0 or more", options_.alpha);
  expect(options_.beta >= 0, "beta: expected 0 or more", options_.beta);
  expect(options_.k > 0, "k: expected more than 0", options_.k);  // else 0 / 0 where all x are 0
  return inputs[0];
}

}  // namespace convoy
