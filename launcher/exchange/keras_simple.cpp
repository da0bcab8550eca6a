// Layers without windows: normalisation, joins of branches, changes of shape, and what does nothing but in training.
#include <algorithm>
#include <cmath>

#include "launcher/exchange/keras_conversion.h"

namespace convoy {
namespace {

using Call = KerasConversion::Call;
using nlohmann::json;

// ---- Normalisation

// Whether `axis` (a number, a list of one, or nothing) is the channels.
void require_channel_axis(const Call& call, const json* axis, const char* what) {
  const int rank = static_cast<int>(call.x().dims.size());
  const bool listed = axis != nullptr && axis->is_array() && axis->size() == 1;
  int number = -1;
  const bool known = axis == nullptr || as_integer(listed ? (*axis)[0] : *axis, number);
  if (!known || (number != -1 && number != rank)) call.fields.refuse(std::string(what) + " is over the channels only");
}

KerasValue batch_norm(const Call& call) {
  require_channel_axis(call, call.fields.find("axis"), "batch normalisation");
  if (call.fields.integer_or("mode", 0) != 0) call.fields.refuse("Convoy has the batch normalisation of mode 0 only");
  if (call.fields.boolean_or("renorm", false))
    call.note("batch renormalisation in training becomes plain normalisation");
  // Kept there is the old fraction, here the new one.
  const double kept = call.fields.number_or("momentum", 0.99);
  std::vector<LayerParameter> parameters = {
      {"epsilon", yaml_number(call.fields.number_or("epsilon", 1e-3))},
      {"momentum", yaml_number(std::round((1 - kept) * 1e12) / 1e12)},
  };
  if (!call.fields.boolean_or("scale", true)) parameters.emplace_back("scale", yaml_boolean(false));
  if (!call.fields.boolean_or("center", true)) parameters.emplace_back("shift", yaml_boolean(false));
  // Since Keras 2, what is frozen infers in training, too.
  const bool frozen = !call.node.trainable && call.conversion.generation() > 1;
  if (call.node.inference && call.node.trainable) call.note("is called with training=False, and so infers in training");
  if (frozen || call.node.inference) parameters.emplace_back("inference", yaml_boolean(true));
  return call.write("batch_norm", std::move(parameters), call.x().dims);
}

// Parameters that Keras' layer was told to do without: ones and zeros.  In no file, so their number is bounded.
constexpr int kMostFilled = 1 << 16;

void fill_in(const Call& call, const KerasValue& y) {
  const int channels = call.channels();
  if (channels > kMostFilled) call.fields.refuse("Convoy has no normalisation of so many channels without a parameter");
  const auto fill = [&](const char* key, const std::string& name, float value) {
    if (call.fields.boolean_or(key, true)) return;
    const HostTensor tensor{name, {channels}, std::vector<float>(static_cast<size_t>(channels), value)};
    call.conversion.model().constants.push_back({y.layer + "." + name, std::string("(") + key + "=False)", tensor});
    call.note(std::string(key) + "=False becomes a parameter of " + (value == 1 ? "ones" : "zeros"));
  };
  fill("scale", "weight", 1);
  fill("center", "bias", 0);
}

KerasValue layer_norm(const Call& call) {
  require_channel_axis(call, call.fields.find("axis"), "layer normalisation");
  if (call.fields.boolean_or("rms_scaling", false))
    call.fields.refuse("Convoy has no layer normalisation with rms_scaling");
  const KerasValue y =
      call.write("layer_norm", {{"epsilon", yaml_number(call.fields.number_or("epsilon", 1e-3))}}, call.x().dims);
  fill_in(call, y);
  return y;
}

KerasValue group_norm(const Call& call) {
  require_channel_axis(call, call.fields.find("axis"), "group normalisation");
  const int groups = call.fields.integer_or("groups", 32);
  const int channels = call.channels();
  const KerasValue y = call.write("group_norm",
                                  {{"groups", yaml_number(groups == -1 ? channels : groups)},
                                   {"epsilon", yaml_number(call.fields.number_or("epsilon", 1e-3))}},
                                  call.x().dims);
  fill_in(call, y);
  return y;
}

// ---- Joins

bool alike(const std::vector<int>& a, const std::vector<int>& b, size_t axes) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < axes; ++i) {
    if (a[i] != b[i] && a[i] != 0 && b[i] != 0) return false;
  }
  return true;
}

void require_several(const Call& call) {
  if (call.inputs.size() < 2) call.fields.refuse("joins fewer than two layers");
}

KerasValue joined(const Call& call, const std::string& type, const std::vector<KerasValue>& inputs,
                  const std::vector<int>& dims) {
  std::vector<std::string> names;
  for (const KerasValue& input : inputs) names.push_back(input.layer);
  call.conversion.text().add({type, call.node.name, names});
  return {call.node.name, dims};
}

KerasValue add(const Call& call) {
  require_several(call);
  for (const KerasValue& input : call.inputs) {
    if (!alike(input.dims, call.x().dims, input.dims.size())) call.fields.refuse("adds layers of different shapes");
  }
  return joined(call, "add", call.inputs, call.x().dims);
}

// Of two; the second may be one number for each channel.
KerasValue multiply(const Call& call) {
  require_several(call);
  if (call.inputs.size() > 2) call.fields.refuse("multiplies more than two layers");
  KerasValue a = call.inputs[0], b = call.inputs[1];
  const auto is_scale = [](const KerasValue& v) { return v.dims.size() == 3 && v.dims[0] == 1 && v.dims[1] == 1; };
  if (is_scale(a) && !is_scale(b)) std::swap(a, b);
  const bool scales = a.dims.size() == 3 && is_scale(b) && a.dims[2] == b.dims[2];
  if (!scales && !alike(a.dims, b.dims, a.dims.size())) call.fields.refuse("multiplies layers of different shapes");
  return joined(call, "multiply", {a, b}, a.dims);
}

KerasValue concatenate(const Call& call) {
  require_several(call);
  require_channel_axis(call, call.fields.find("axis"), "concatenation");
  std::vector<int> dims = call.x().dims;
  dims.back() = 0;
  for (const KerasValue& input : call.inputs) {
    if (input.dims.empty() || !alike(input.dims, dims, dims.size() - 1)) {
      call.fields.refuse("concatenates layers of different heights or widths");
    }
    if (input.dims.back() == 0) call.fields.refuse("the channels of an input are not known");
    dims.back() += input.dims.back();
    if (dims.back() > 1 << 24) call.fields.refuse("makes more than 16 million channels");
  }
  return joined(call, "concat", call.inputs, dims);
}

// ---- Shapes

double product(const std::vector<int>& dims) {
  double all = 1;
  for (const int dim : dims) all *= dim;
  return all;
}

KerasValue flattened(const Call& call) {
  int64_t all = 1;
  for (const int dim : call.x().dims) {
    all *= dim;
    if (all > 1 << 30) call.fields.refuse("flattens more than a billion numbers");
  }
  if (call.x().dims.size() == 1) return call.x();
  return call.write("flatten", {}, {static_cast<int>(all)});
}

KerasValue flatten(const Call& call) {
  call.require_channels_last();
  return flattened(call);
}

// As [H,W,C].
std::array<int, 3> as_image(const std::vector<int>& dims) {
  if (dims.size() == 1) return {1, 1, dims[0]};
  return {dims[0], dims[1], dims.size() == 2 ? 1 : dims[2]};
}

// What only adds or takes axes of one, and what flattens.
KerasValue reshape(const Call& call) {
  const json& target = call.fields.require("target_shape");
  std::vector<int> dims;
  for (const json& value : target) {
    int dim = 0;
    if (!as_integer(value, dim) || dim < -1 || dim == 0)
      call.fields.fail("target_shape", "expected numbers from 1, or -1");
    dims.push_back(dim);
  }
  const std::vector<int>& before = call.x().dims;
  if (dims.empty() || dims.size() > 3) call.fields.refuse("Convoy's values have one to three axes");
  if (dims.size() == 1 && (dims[0] == -1 || dims[0] == product(before))) return flattened(call);
  std::array<int, 3> wanted = as_image(dims);
  const std::array<int, 3> has = as_image(before);
  for (size_t i = 0; i < 3; ++i) wanted[i] = wanted[i] == -1 ? has[i] : wanted[i];
  if (wanted != has) call.fields.refuse("Convoy reshapes only to a vector, or by axes of one");
  if (dims.size() == 2 && (dims[0] == -1 || dims[1] == -1)) call.fields.refuse("Convoy reshapes to known sizes only");
  return {call.x().layer, dims.size() == 3 ? std::vector<int>(wanted.begin(), wanted.end()) : dims};
}

KerasValue permute(const Call& call) {
  const json& dims = call.fields.require("dims");
  int expected = 0;
  for (const json& value : dims) {
    int axis = 0;
    if (!as_integer(value, axis) || axis != ++expected) call.fields.refuse("Convoy does not exchange axes");
  }
  return call.x();
}

// [top, bottom, left, right] of 1, [1, 2], [[1, 2], [3, 4]] and Keras 1's [1, 2, 3, 4] and {"top_pad": …}.
std::array<int, 4> sides(const Call& call) {
  const json& given = call.fields.find("padding") != nullptr ? call.fields.require("padding") : json(1);
  std::array<int, 4> out{};
  const auto fail = [&] { call.fields.fail("padding", "not as Keras writes it"); };
  const auto take = [&](size_t i, const json& value) {
    if (!as_integer(value, out[i]) || out[i] < 0 || out[i] > 4096) fail();
  };
  if (given.is_number()) {
    for (size_t i = 0; i < 4; ++i) take(i, given);
  } else if (given.is_object()) {
    const char* kKeys[] = {"top_pad", "bottom_pad", "left_pad", "right_pad"};
    for (size_t i = 0; i < 4; ++i) take(i, given.value(kKeys[i], json(0)));
  } else if (given.is_array() && given.size() == 4) {
    for (size_t i = 0; i < 4; ++i) take(i, given[i]);
  } else if (given.is_array() && given.size() == 2) {
    for (size_t i = 0; i < 4; ++i) {
      const json& axis = given[i / 2];
      const bool both = axis.is_array() && axis.size() == 2;
      take(i, both ? axis[i % 2] : axis);
    }
  } else {
    fail();
  }
  return out;
}

KerasValue zero_padding(const Call& call) {
  call.require_image();
  call.require_channels_last();
  const auto [top, bottom, left, right] = sides(call);
  std::vector<int> dims = call.x().dims;
  if (dims[0] != 0) dims[0] += top + bottom;
  if (dims[1] != 0) dims[1] += left + right;
  const bool symmetric = top == bottom && left == right;
  const Node padding = symmetric ? yaml_pair({top, left}) : yaml_list({top, bottom, left, right});
  return call.write("pad", {{"padding", padding}}, dims);
}

KerasValue upsampling(const Call& call) {
  call.require_image();
  call.require_channels_last();
  const std::array<int, 2> scale = call.fields.pair_or("size", {2, 2});
  const std::string mode = call.fields.text_or("interpolation", "nearest");
  if (mode != "nearest" && mode != "bilinear")
    call.fields.refuse("Convoy has no interpolation '" + mode.substr(0, 100) + "'");
  std::vector<int> dims = call.x().dims;
  for (size_t i = 0; i < 2; ++i) {
    if (int64_t{dims[i]} * scale[i] > 1 << 20) call.fields.refuse("makes an image larger than any");
    dims[i] *= scale[i];
  }
  return call.write("upsample", {{"scale", yaml_pair(scale)}, {"mode", yaml_word(mode)}}, dims);
}

// ---- Training only

// With one draw for a whole sample, as EfficientNet has it, dropout is stochastic depth.
KerasValue dropout(const Call& call) {
  const double rate = call.fields.number("rate");
  if (!(rate >= 0 && rate < 1)) call.fields.fail("rate", "expected [0, 1)");
  std::string type = "dropout";
  if (const json* shape = call.fields.find("noise_shape")) {
    const auto is_one = [](const json& dim) { return dim == 1; };
    const bool whole_samples =
        shape->is_array() && shape->size() > 1 && std::all_of(shape->begin() + 1, shape->end(), is_one);
    if (!whole_samples) call.fields.refuse("Convoy's dropout has no noise_shape but one for whole samples");
    type = "stochastic_depth";
  }
  return call.write(type, {{"rate", yaml_number(rate)}}, call.x().dims);
}

KerasValue left_out(const Call& call) {
  call.note("is left out: it only acts in training, and Convoy has it not");
  return call.x();
}

}  // namespace

const KerasTable kKerasSimple = {
    {"ActivityRegularization", left_out},
    {"Add", add},
    {"AlphaDropout", left_out},
    {"BatchNormalization", batch_norm},
    {"Concatenate", concatenate},
    {"Dropout", dropout},
    {"Flatten", flatten},
    {"GaussianDropout", left_out},
    {"GaussianNoise", left_out},
    {"GroupNormalization", group_norm},
    {"LayerNormalization", layer_norm},
    {"Multiply", multiply},
    {"Permute", permute},
    {"RandomBrightness", left_out},
    {"RandomContrast", left_out},
    {"RandomFlip", left_out},
    {"RandomRotation", left_out},
    {"RandomTranslation", left_out},
    {"RandomZoom", left_out},
    {"Reshape", reshape},
    {"SpatialDropout2D", left_out},
    {"UpSampling2D", upsampling},
    {"ZeroPadding2D", zero_padding},
};

}  // namespace convoy
