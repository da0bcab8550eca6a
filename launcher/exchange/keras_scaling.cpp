// Rescaling and Normalization in front of a network: how its images are prepared.
#include <cmath>

#include "launcher/exchange/keras_conversion.h"

namespace convoy {
namespace {

using Call = KerasConversion::Call;
using nlohmann::json;

constexpr double kLeastDeviation = 1e-7;  // Keras divides by no less

// All numbers in nested lists: one, or one for each channel.
void append_numbers(const Call& call, const char* key, const json& value, std::vector<double>& out) {
  if (value.is_number()) {
    out.push_back(value.get<double>());
  } else if (value.is_array()) {
    for (const json& element : value) append_numbers(call, key, element, out);
  } else {
    call.fields.fail(key, "expected numbers");
  }
}

std::vector<double> numbers(const Call& call, const char* key, std::vector<double> otherwise) {
  const json* value = call.fields.find(key);
  if (value == nullptr) return otherwise;
  std::vector<double> out;
  append_numbers(call, key, *value, out);
  return out;
}

// Each of `by` as many as channels, or one; the same of what there was.
void apply(const Call& call, std::vector<double> scale, std::vector<double> offset) {
  PixelScale& pixels = call.conversion.pixels();
  const size_t channels = static_cast<size_t>(call.channels());
  const auto spread = [&](std::vector<double>& values) {
    if (values.size() == 1) values.assign(channels, values.front());
    if (values.size() != channels) call.fields.refuse("scales something else than the channels");
  };
  spread(scale);
  spread(offset);
  spread(pixels.scale);
  spread(pixels.offset);
  for (size_t c = 0; c < channels; ++c) {
    if (!std::isfinite(scale[c]) || !std::isfinite(offset[c]) || !(scale[c] > 0)) {
      call.fields.refuse("scales the pixels by a number that is not above 0");
    }
    pixels.scale[c] *= scale[c];
    pixels.offset[c] = pixels.offset[c] * scale[c] + offset[c];
  }
}

void require_front(const Call& call) {
  if (call.x().layer == ModelText::kImage && call.conversion.readers(call.node.inputs.front()) == 1) return;
  call.fields.refuse("Convoy has it only in front of a network, as the preparation of images");
}

KerasValue rescaling(const Call& call) {
  require_front(call);
  apply(call, numbers(call, "scale", {1}), numbers(call, "offset", {0}));
  return call.x();
}

KerasValue normalization(const Call& call) {
  require_front(call);
  if (call.fields.boolean_or("invert", false)) call.fields.refuse("Convoy has no Normalization with invert");
  const auto values = [&](const char* key) {
    if (const HostTensor* tensor = call.conversion.weight(call.node, key)) {
      return std::vector<double>(tensor->values.begin(), tensor->values.end());
    }
    return numbers(call, key, {});
  };
  const std::vector<double> mean = values("mean"), variance = values("variance");
  if (mean.empty() || mean.size() != variance.size()) call.fields.fail("mean, variance", "not in the file");
  std::vector<double> scale, offset;
  for (size_t c = 0; c < mean.size(); ++c) {
    scale.push_back(1 / std::max(std::sqrt(variance[c]), kLeastDeviation));
    offset.push_back(-mean[c] * scale.back());
  }
  apply(call, scale, offset);
  return call.x();
}

}  // namespace

const KerasTable kKerasScaling = {
    {"Normalization", normalization},
    {"Rescaling", rescaling},
};

}  // namespace convoy
