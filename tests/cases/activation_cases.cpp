#include "layers/activation.h"
#include "tests/cases/case_parts.h"

namespace convoy {

Cases activation_cases() {
  constexpr Shape kEven{2, 6, 6, 16}, kOdd{3, 5, 4, 17};
  std::vector<LayerCase> cases;
  const auto add = [&](const std::string& name, const ActivationFunction& function) {
    const auto layer = make<Activation>(function);
    // Both sides of what ends at 6, and tails.
    cases.push_back({.name = name, .layer = layer, .inputs = {kEven}, .std = 4});
    cases.push_back({.name = name + "_odd", .layer = layer, .inputs = {kOdd}, .std = 1.5});
    cases.push_back({name + "_threads", layer, {{4, 23, 23, 17}}});
    cases.push_back({.name = name + "_eval", .layer = layer, .inputs = {kOdd}, .mode = Mode::kEval});
  };
  add("elu", EluFunction{});
  add("elu_alpha", EluFunction{1.75F});
  add("gelu", GeluFunction{});
  add("gelu_tanh", GeluTanhFunction{});
  add("hard_sigmoid", HardSigmoidFunction{});
  add("hard_swish", HardSwishFunction{});
  add("leaky_relu", LeakyReluFunction{});
  add("leaky_relu_slope_0", LeakyReluFunction{0});
  add("relu6", Relu6Function{});
  add("sigmoid", SigmoidFunction{});
  add("silu", SiluFunction{});
  add("tanh", TanhFunction{});
  cases.push_back(
      {.name = "silu_no_gradient", .layer = make<Activation>(SiluFunction{}), .inputs = {kOdd}, .wants_dx = {false}});
  cases.push_back({"sigmoid_one_element", make<Activation>(SigmoidFunction{}), {{1, 1, 1, 1}}});
  for (const auto& [name, function] : {std::pair<std::string, ActivationFunction>{"elu", EluFunction{}},
                                       {"gelu", GeluFunction{}},
                                       {"hard_swish", HardSwishFunction{}},
                                       {"silu", SiluFunction{}},
                                       {"tanh", TanhFunction{}}}) {
    cases.push_back({.name = name + "_resnet_block1",
                     .layer = make<Activation>(function),
                     .inputs = {{32, 32, 32, 64}},
                     .benchmark = true});
  }
  return cases;
}

}  // namespace convoy
