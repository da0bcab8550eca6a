#include "layers/weight_initializer.h"

#include <cmath>

namespace convoy {

using Kind = WeightInitializer::Kind;

const std::array<NamedInitializer, 24> kWeightInitializers = {{
    {"normal", {Kind::kNormal, 0.01}},
    {"truncated_normal", {Kind::kTruncatedNormal, 0.05}},
    {"uniform", {Kind::kUniform, 0.05}},
    {"orthogonal", {Kind::kOrthogonal, 1}},
    {"constant", {Kind::kConstant, 0}},
    {"zeros", {Kind::kConstant, 0}},
    {"ones", {Kind::kConstant, 1}},
    {"pytorch", {Kind::kPytorch}},
    {"kaiming_normal", {Kind::kKaimingNormal}},
    {"kaiming_normal_fan_in", {Kind::kKaimingNormalFanIn}},
    {"kaiming_normal_fan_out", {Kind::kKaimingNormal}},
    {"kaiming_uniform", {Kind::kKaimingUniform}},
    {"kaiming_uniform_fan_in", {Kind::kKaimingUniform}},
    {"kaiming_uniform_fan_out", {Kind::kKaimingUniformFanOut}},
    {"xavier_normal", {Kind::kXavierNormal}},
    {"xavier_uniform", {Kind::kGlorotUniform}},
    {"glorot_normal", {Kind::kGlorotNormal}},
    {"glorot_uniform", {Kind::kGlorotUniform}},
    {"he_normal", {Kind::kHeNormal}},
    {"he_uniform", {Kind::kKaimingUniform}},
    {"lecun_normal", {Kind::kLecunNormal}},
    {"lecun_uniform", {Kind::kLecunUniform}},
    {"uniform_fan_in", {Kind::kUniformFanIn}},
    {"uniform_fan_out", {Kind::kUniformFanOut}},
}};

Initializer weight_start(const WeightInitializer& initializer, int64_t fan_in, int64_t fan_out) {
  constexpr double kDeviationOfCut = 0.87962566103423978;  // of a standard normal that is cut at ±2
  const auto in = static_cast<double>(fan_in), out = static_cast<double>(fan_out), number = initializer.number;
  const auto start = [](Initializer::Kind kind, double scale) { return Initializer{kind, static_cast<float>(scale)}; };
  const auto normal = [&](double deviation) { return start(Initializer::Kind::kNormal, deviation); };
  const auto cut = [&](double deviation) {
    return start(Initializer::Kind::kTruncatedNormal, deviation / kDeviationOfCut);
  };
  const auto uniform = [&](double limit) { return start(Initializer::Kind::kUniform, limit); };
  switch (initializer.kind) {
    case Kind::kKaimingNormal: return normal(std::sqrt(2.0 / out));
    case Kind::kKaimingNormalFanIn: return normal(std::sqrt(2.0 / in));
    case Kind::kKaimingUniform: return uniform(std::sqrt(6.0 / in));
    case Kind::kKaimingUniformFanOut: return uniform(std::sqrt(6.0 / out));
    case Kind::kXavierNormal: return normal(std::sqrt(2.0 / (in + out)));
    case Kind::kGlorotUniform: return uniform(std::sqrt(6.0 / (in + out)));
    case Kind::kGlorotNormal: return cut(std::sqrt(2.0 / (in + out)));
    case Kind::kHeNormal: return cut(std::sqrt(2.0 / in));
    case Kind::kLecunNormal: return cut(std::sqrt(1.0 / in));
    case Kind::kLecunUniform: return uniform(std::sqrt(3.0 / in));
    case Kind::kUniformFanOut: return uniform(1.0 / std::sqrt(out));
    case Kind::kNormal: return normal(number);
    case Kind::kTruncatedNormal: return start(Initializer::Kind::kTruncatedNormal, number);
    case Kind::kUniform: return uniform(number);
    case Kind::kOrthogonal: return start(Initializer::Kind::kOrthogonal, number);
    case Kind::kConstant: return start(Initializer::Kind::kConstant, number);
    case Kind::kPytorch:
    case Kind::kUniformFanIn: break;
  }
  return uniform(1.0 / std::sqrt(in));
}

Initializer bias_start(const WeightInitializer& initializer, int64_t fan_in) {
  if (initializer.kind != Kind::kPytorch) return {};
  return weight_start(initializer, fan_in, 1);
}

}  // namespace convoy
