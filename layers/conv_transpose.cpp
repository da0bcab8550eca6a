#include "layers/conv_transpose.h"

#include "layers/checks.h"

namespace convoy {

WindowAxes ConvTranspose::axes(const Shape& x) const {
  return transposed_axes(options_.window, options_.output_padding_h, options_.output_padding_w, x);
}

Shape ConvTranspose::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  expect_at_least(options_.filters, 1, "filters");
  if (options_.window.dilation_h != 1 || options_.window.dilation_w != 1) {
    throw Error(ExitCode::kConfig, "dilation: transposed convolutions take only 1");
  }
  const WindowAxes of = axes(inputs[0]);
  CHECK(of.h.output == inputs[0].h && of.w.output == inputs[0].w);
  return {inputs[0].n, of.h.input, of.w.input, options_.filters};
}

std::vector<ParameterSpec> ConvTranspose::parameters(std::span<const Shape> inputs) const {
  const Shape weight{options_.filters, options_.window.kernel_h, options_.window.kernel_w, inputs[0].c};
  const int64_t area = int64_t{weight.h} * weight.w;
  const int64_t fan_in = area * options_.filters;  // as torch.nn counts it: its weights are [I,O,h,w]
  std::vector<ParameterSpec> specs{{"weight", weight, weight_start(options_.initializer, fan_in, area * weight.c)}};
  if (options_.bias) {
    specs.push_back({"bias", {1, 1, 1, options_.filters}, bias_start(options_.initializer, fan_in)});
  }
  return specs;
}

int64_t ConvTranspose::forward_flops(std::span<const Shape> inputs) const {
  return 2 * inputs[0].elements() * options_.window.kernel_h * options_.window.kernel_w * options_.filters;
}

}  // namespace convoy
