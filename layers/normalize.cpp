#include "layers/normalize.h"

#include <algorithm>

#include "layers/checks.h"

namespace convoy {
namespace {

void expect_values(const std::vector<float>& values, int channels, const char* option) {
  if (values.size() == 1 || values.size() == static_cast<size_t>(channels)) return;
  const std::string expected =
      channels == 1 ? "1 value" : "1 or " + std::to_string(channels) + " values (one per channel)";
  throw Error(ExitCode::kConfig,
              std::string(option) + ": expected " + expected + ", found " + std::to_string(values.size()));
}

}  // namespace

Shape Normalize::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  expect_values(mean_, inputs[0].c, "mean");
  expect_values(std_, inputs[0].c, "std");
  if (!std::ranges::all_of(std_, [](float value) { return value > 0; })) {
    throw Error(ExitCode::kConfig, "std: expected values above 0");
  }
  if (bgr_ && inputs[0].c != 3) {
    throw Error(ExitCode::kConfig,
                "channel_order: bgr is for images of 3 channels, found " + std::to_string(inputs[0].c));
  }
  return inputs[0];
}

}  // namespace convoy
