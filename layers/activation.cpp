#include "layers/activation.h"

#include "layers/checks.h"

namespace convoy {
namespace {

void expect_not_negative(float value, const char* option) {
  if (value >= 0) return;
  throw Error(ExitCode::kConfig, std::string(option) + ": expected 0 or more, found " + std::to_string(value));
}

}  // namespace

std::string Activation::type() const {
  return std::visit([](const auto& function) { return function.kType; }, function_);
}

Shape Activation::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  if (const auto* leaky = std::get_if<LeakyReluFunction>(&function_)) expect_not_negative(leaky->negative, "slope");
  if (const auto* elu = std::get_if<EluFunction>(&function_)) expect_not_negative(elu->alpha, "alpha");
  return inputs[0];
}

}  // namespace convoy
