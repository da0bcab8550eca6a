// How the weights of conv2d, conv_transpose and linear start, by the names that PyTorch, Keras and papers use.
// fan_in is what one output is a sum of, kernel area × channels of a group; fan_out is kernel area × filters.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/graph/layer.h"

namespace convoy {

struct WeightInitializer {
  enum class Kind : uint8_t {
    kPytorch,               // uniform in ±1/sqrt(fan_in), weights and bias alike; the others start the bias at 0
    kKaimingNormal,         // normal with standard deviation sqrt(2 / fan_out) (He et al. 2015)
    kKaimingNormalFanIn,    // … sqrt(2 / fan_in)
    kKaimingUniform,        // uniform in ±sqrt(6 / fan_in)
    kKaimingUniformFanOut,  // … ±sqrt(6 / fan_out)
    kXavierNormal,          // normal, sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)
    kGlorotUniform,         // uniform in ±sqrt(6 / (fan_in + fan_out))
    kGlorotNormal,          // truncated normal of the standard deviation of kXavierNormal
    kHeNormal,              // … of kKaimingNormalFanIn
    kLecunNormal,           // … sqrt(1 / fan_in) (LeCun et al. 1998)
    kLecunUniform,          // uniform in ±sqrt(3 / fan_in)
    kUniformFanIn,          // uniform in ±1/sqrt(fan_in)
    kUniformFanOut,         // uniform in ±1/sqrt(fan_out)
    // These have a number.
    kNormal,           // its standard deviation
    kTruncatedNormal,  // that of the normal before it is cut at twice as much
    kUniform,          // its limit
    kOrthogonal,       // its gain: orthonormal rows (or columns, if there are fewer) times it (Saxe et al. 2013)
    kConstant
  } kind = Kind::kPytorch;
  double number = 0;
};

struct NamedInitializer {
  std::string_view name;
  WeightInitializer value;  // with the number that counts where none is given
};
inline constexpr size_t kInitializersWithNumber = 5;  // the first ones
extern const std::array<NamedInitializer, 24> kWeightInitializers;

Initializer weight_start(const WeightInitializer& initializer, int64_t fan_in, int64_t fan_out);
Initializer bias_start(const WeightInitializer& initializer, int64_t fan_in);

}  // namespace convoy
