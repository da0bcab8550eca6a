// Operators that have weights or a window.
#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/io/dims.h"
#include "launcher/exchange/onnx_importer.h"

namespace convoy {
namespace {

using Integers = std::vector<int64_t>;

constexpr double kLowest = -3e38;  // never the largest of a window

}  // namespace

// ---- Windows

// Reads kernel_shape, strides, dilations, pads and auto_pad; writes kernel and stride.  Returns the pads
// [top, left, bottom, right]; those of auto_pad SAME_UPPER go straight into the fields.
std::array<int64_t, 4> OnnxImporter::window(OnnxOperator& op, Integers kernel, Fields& fields) {
  const Integers given = op.integers_or("kernel_shape", kernel);
  if (kernel.empty()) kernel = given;
  const Integers strides = op.integers_or("strides", {1, 1}), dilations = op.integers_or("dilations", {1, 1});
  const Integers pads = op.integers_or("pads", {0, 0, 0, 0});
  const std::string automatic = op.text_or("auto_pad", "NOTSET");
  if (kernel.size() != 2 || strides.size() != 2 || dilations.size() != 2 || pads.size() != 4)
    op.refuse("expected windows of two dimensions");
  if (given != kernel) op.bad("attribute kernel_shape: expected that of the weight, found " + dims_text(given));
  fields.pair("kernel", kernel[0], kernel[1]).pair("stride", strides[0], strides[1]);
  if (dilations != Integers{1, 1}) fields.pair("dilation", dilations[0], dilations[1]);
  if (automatic == "SAME_UPPER") {
    fields.text("padding", "same");
    return {};
  }
  if (automatic == "VALID") return {};
  if (automatic != "NOTSET") op.refuse("attribute auto_pad: expected NOTSET, VALID or SAME_UPPER, found " + automatic);
  return {pads[0], pads[1], pads[2], pads[3]};
}

// The value that a window with these pads reads: `x`, the padding being in the fields, or a pad layer where it is not
// the same on both sides.
OnnxImporter::Value OnnxImporter::padded(const Value& x, const std::string& name, const std::array<int64_t, 4>& pads,
                                         double value, Fields& fields) {
  if (pads[0] == pads[2] && pads[1] == pads[3]) {
    if (pads[0] != 0 || pads[1] != 0) fields.pair("padding", pads[0], pads[1]);
    return x;
  }
  Fields pad;
  pad.list("padding", {pads[0], pads[2], pads[1], pads[3]});  // top, bottom, left, right
  if (value != 0) pad.number("value", value);
  std::string pad_name = name + ".pad";
  while (!names_.insert(pad_name).second) pad_name += "_";
  Value made = layer("pad", pad_name, x, pad);
  made.one_pixel = false;
  return made;
}

void OnnxImporter::conv(OnnxOperator& op) {
  const Value x = image(op, 0);
  const Value w = constant(op, 1);
  const Integers dims = w.tensor->dims;  // O,I,h,w
  if (dims.size() != 4) op.refuse("expected a weight of 4 dimensions, found " + dims_text(dims));
  const bool bias = !op.input(2).empty();
  const std::string name = layer_name(op, w.tensor_name);
  Fields fields;
  fields.integer("filters", dims[0]);
  const auto pads = window(op, {dims[2], dims[3]}, fields);
  if (const int64_t groups = op.integer_or("group", 1); groups != 1) fields.integer("groups", groups);
  if (!bias) fields.boolean("bias", false);
  const Value source = padded(x, name, pads, 0, fields);
  Value y = layer("conv2d", name, source, fields);
  y.one_pixel = source.one_pixel && dims[2] == 1 && dims[3] == 1 && pads == std::array<int64_t, 4>{};
  weight(op, name + ".weight", op.input(1));
  if (bias) weight(op, name + ".bias", op.input(2));
  give(op, std::move(y));
}

void OnnxImporter::conv_transpose(OnnxOperator& op) {
  const Value x = image(op, 0);
  const Value w = constant(op, 1);
  const Integers dims = w.tensor->dims;  // I,O,h,w
  if (dims.size() != 4) op.refuse("expected a weight of 4 dimensions, found " + dims_text(dims));
  op.require_integer("group", 1, 1);
  const bool bias = !op.input(2).empty();
  const std::string name = layer_name(op, w.tensor_name);
  Fields fields;
  fields.integer("filters", dims[1]);
  const auto pads = window(op, {dims[2], dims[3]}, fields);
  const Integers more = op.integers_or("output_padding", {0, 0});
  if (op.integers_or("dilations", {1, 1}) != Integers{1, 1}) op.refuse("attribute dilations: expected 1");
  if (op.text_or("auto_pad", "NOTSET") != "NOTSET") op.refuse("attribute auto_pad: expected NOTSET");
  if (more.size() != 2 || pads[0] != pads[2] || pads[1] != pads[3])
    op.refuse("expected the same padding on both sides");
  if (pads[0] != 0 || pads[1] != 0) fields.pair("padding", pads[0], pads[1]);
  if (more != Integers{0, 0}) fields.pair("output_padding", more[0], more[1]);
  if (!bias) fields.boolean("bias", false);
  Value y = layer("conv_transpose", name, x, fields);
  y.one_pixel = false;
  weight(op, name + ".weight", op.input(1));
  if (bias) weight(op, name + ".bias", op.input(2));
  give(op, std::move(y));
}

void OnnxImporter::pool(OnnxOperator& op) {
  const Value x = image(op, 0);
  const bool max = op.type() == "MaxPool";
  const std::string name = layer_name(op);
  Fields fields;
  const auto pads = window(op, {}, fields);
  if (op.integers_or("dilations", {1, 1}) != Integers{1, 1}) op.refuse("attribute dilations: expected 1");
  if (op.integer_or("ceil_mode", 0) != 0) fields.boolean("ceil", true);
  op.integer_or("storage_order", 0);  // of the second output
  const bool include = !max && op.integer_or("count_include_pad", 0) != 0;
  const bool any = op.text_or("auto_pad", "NOTSET") == "SAME_UPPER" ||
                   std::ranges::any_of(pads, [](int64_t pad) { return pad != 0; });
  const bool symmetric = pads[0] == pads[2] && pads[1] == pads[3];
  if (include && any && symmetric) fields.boolean("include_padding", true);
  if (!max && !symmetric && !include) op.refuse("expected the same padding on both sides");
  const Value source = padded(x, name, pads, max ? kLowest : 0, fields);
  Value y = layer(max ? "max_pool" : "average_pool", name, source, fields);
  y.one_pixel = false;
  give(op, std::move(y));
}

void OnnxImporter::global_pool(OnnxOperator& op) {
  const Value x = image(op, 0);
  Value y = layer(op.type() == "GlobalMaxPool" ? "global_max" : "global_average", layer_name(op), x);
  y.one_pixel = true;
  give(op, std::move(y));
}

// Over H and W.
void OnnxImporter::reduce(OnnxOperator& op) {
  const Value x = data(op, 0);
  const bool keep = op.integer_or("keepdims", 1) != 0;
  op.integer_or("noop_with_empty_axes", 0);
  Integers axes = op.integers_or("axes", {});
  if (!op.input(1).empty()) axes = constant_integers(op, 1);
  for (int64_t& axis : axes) axis += axis < 0 ? 4 : 0;
  std::ranges::sort(axes);
  if (x.form == Form::kFlat || axes != (x.form == Form::kLast ? Integers{1, 2} : Integers{2, 3}))
    op.refuse("expected the axes H and W");
  Value y = layer(op.type() == "ReduceMax" ? "global_max" : "global_average", layer_name(op), x);
  y.one_pixel = true;
  if (!keep) y.form = Form::kFlat;
  give(op, std::move(y));
}

void OnnxImporter::pad(OnnxOperator& op) {
  const Value x = image(op, 0);
  if (const std::string mode = op.text_or("mode", "constant"); mode != "constant")
    op.refuse("attribute mode: expected constant, found " + mode);
  Integers pads = op.integers_or("pads", {});
  double value = op.number_or("value", 0);
  if (!op.input(1).empty()) pads = constant_integers(op, 1);
  if (!op.input(2).empty()) {
    const auto number = constant_number(op.input(2));
    if (!number) op.refuse("expected a constant value to pad with");
    value = *number;
  }
  if (!op.input(3).empty()) op.refuse("expected no input axes");
  if (pads.size() != 8 || pads[0] != 0 || pads[1] != 0 || pads[4] != 0 || pads[5] != 0)
    op.refuse("expected padding of H and W only");
  if (!std::isfinite(value)) value = value < 0 ? kLowest : -kLowest;
  Fields fields;
  fields.list("padding", {pads[2], pads[6], pads[3], pads[7]});
  if (value != 0) fields.number("value", value);
  Value y = layer("pad", layer_name(op), x, fields);
  y.one_pixel = false;
  give(op, std::move(y));
}

// By whole factors; of the many rules where pixels lie, those that agree with ours.
void OnnxImporter::resize(OnnxOperator& op) {
  const Value x = image(op, 0);
  const std::string mode = op.text_or("mode", "nearest");
  const bool upsample = op.type() == "Upsample";
  const std::string centres = op.text_or("coordinate_transformation_mode", upsample ? "asymmetric" : "half_pixel");
  const std::string nearest = op.text_or("nearest_mode", upsample ? "floor" : "round_prefer_floor");
  op.number_or("cubic_coeff_a", 0);
  op.number_or("extrapolation_value", 0);
  op.require_integer("exclude_outside", 0, 0);
  op.require_integer("antialias", 0, 0);
  const bool half = centres == "half_pixel" || centres == "pytorch_half_pixel";
  const bool agrees = mode == "nearest"
                          ? (centres == "asymmetric" && nearest == "floor") || (half && nearest.starts_with("round"))
                          : mode == "linear" && half;
  if (!agrees) op.refuse("mode " + mode + " with " + centres + " and " + nearest + " is not supported");
  std::vector<float> scales;
  if (op.has("scales")) op.refuse("expected scales as an input");
  const size_t at = upsample || model_.opset < 11 ? 1 : 2;
  if (op.input(at).empty()) op.refuse("expected scales, found none");
  scales = constant_floats(op, at);
  const auto is_factor = [](float scale) { return scale >= 1 && scale <= 4096 && scale == std::floor(scale); };
  if (scales.size() != 4 || scales[0] != 1 || scales[1] != 1 || !is_factor(scales[2]) || !is_factor(scales[3]))
    op.refuse("expected whole factors for H and W");
  Fields fields;
  fields.pair("scale", static_cast<int64_t>(scales[2]), static_cast<int64_t>(scales[3]));
  fields.text("mode", mode == "nearest" ? "nearest" : "bilinear");
  Value y = layer("upsample", layer_name(op), x, fields);
  y.one_pixel = false;
  give(op, std::move(y));
}

// ---- Matrices

void OnnxImporter::gemm(OnnxOperator& op) {
  op.require_integer("transA", 0, 0);
  const bool transposed = op.integer_or("transB", 0) != 0;
  if (op.number_or("alpha", 1) != 1 || op.number_or("beta", 1) != 1) op.refuse("expected alpha and beta to be 1");
  const Value x = data(op, 0);
  if (x.form != Form::kFlat) op.refuse("expected a flattened input");
  give(op, linear(op, x, transposed, op.input(2)));
}

// With a bias where the only reader adds a constant.
void OnnxImporter::matmul(OnnxOperator& op) {
  const Value x = data(op, 0);
  const Integers dims = constant(op, 1).tensor->dims;  // I,O
  if (x.form == Form::kImage) op.refuse("of an image in the order N,C,H,W");
  const OnnxNode* add = only_reader(op.node(), "Add");
  if (add != nullptr && add->inputs.size() == 2 && dims.size() == 2) {
    const std::string& bias = add->inputs[add->inputs[0] == op.node().outputs.front() ? 1 : 0];
    const auto found = values_.find(bias);
    if (found != values_.end() && found->second.tensor != nullptr &&
        std::ssize(found->second.tensor->values) == dims[1]) {
      give(op, *add, linear(op, x, false, bias));
      done_.insert(add);
      return;
    }
  }
  give(op, linear(op, x, false, {}));
}

// y = x · W + bias on [N,I], or at each pixel of [N,H,W,I]; W is [O,I] where `transposed`.
OnnxImporter::Value OnnxImporter::linear(const OnnxOperator& op, const Value& x, bool transposed,
                                         std::string_view bias) {
  const Value w = constant(op, 1);
  Integers dims = w.tensor->dims;
  if (dims.size() != 2) op.refuse("expected a matrix, found " + dims_text(dims));
  if (!transposed) std::swap(dims[0], dims[1]);
  const std::string name = layer_name(op, w.tensor_name);
  const bool pixels = x.form == Form::kLast;
  Fields fields;
  if (pixels) {
    fields.integer("filters", dims[0]).integer("kernel", 1);
  } else {
    fields.integer("units", dims[0]);
    classes_ = dims[0];
  }
  if (bias.empty()) fields.boolean("bias", false);
  Value y = layer(pixels ? "conv2d" : "linear", name, x, fields);
  y.unordered = y.last_order = false;
  std::vector<float> values = transposed ? take_values(op, w) : take_transposed(op, w);
  if (x.last_order) {  // as ours
    const Integers stored = dims[0] == 1 ? Integers{dims[1]} : Integers{dims[0], 1, 1, dims[1]};
    weight_values(name + ".weight", w.tensor_name, stored, std::move(values), WeightOrder::kConvoy);
  } else {
    const Integers stored = pixels ? Integers{dims[0], dims[1], 1, 1} : dims;
    weight_values(name + ".weight", w.tensor_name, stored, std::move(values));
  }
  if (bias.empty()) return y;
  if (!is_constant(bias) || values_.find(bias)->second.tensor == nullptr ||
      std::ssize(values_.find(bias)->second.tensor->values) != dims[0])
    op.refuse("expected a constant bias of " + std::to_string(dims[0]) + " numbers");
  weight(op, name + ".bias", bias, {dims[0]});
  return y;
}

// ---- Normalisation

void OnnxImporter::batch_normalization(OnnxOperator& op) {
  const Value x = data(op, 0);
  if (x.form == Form::kLast) op.refuse("expected N,C,H,W");
  op.require_integer("training_mode", 0, 0);
  op.require_integer("spatial", 1, 1);
  op.integer_or("consumed_inputs", 0);
  const std::string name = layer_name(op, constant(op, 1).tensor_name);
  Fields fields;
  fields.number("epsilon", op.number_or("epsilon", 1e-5));
  const double kept = op.number_or("momentum", 0.9);
  if (kept < 1) fields.number("momentum", 1 - kept);  // 1: of inference only
  std::optional<WeightOrder> order;
  if (x.last_order) order = WeightOrder::kConvoy;
  size_t i = 0;
  for (const char* role : {".weight", ".bias", ".running_mean", ".running_variance"}) {
    weight(op, name + role, op.input(++i), {}, order);
  }
  give(op, layer("batch_norm", name, x, fields));
}

// Over the channels of each pixel.
void OnnxImporter::layer_normalization(OnnxOperator& op) {
  const Value x = data(op, 0);
  const int64_t rank = x.form == Form::kFlat ? 2 : 4, axis = op.integer_or("axis", -1);
  op.integer_or("stash_type", 1);
  if (x.form == Form::kImage || (axis != -1 && axis != rank - 1) || x.unordered || x.last_order)
    op.refuse("expected the channels to be normalised, found other axes");
  const Value w = constant(op, 1);
  const Integers dims = {std::ssize(w.tensor->values)};
  const std::string name = layer_name(op, w.tensor_name);
  weight(op, name + ".weight", op.input(1), dims);
  if (op.input(2).empty()) {
    weight_values(name + ".bias", "", dims, std::vector<float>(static_cast<size_t>(dims[0]), 0.0F));
  } else {
    weight(op, name + ".bias", op.input(2), dims);
  }
  give(op, layer("layer_norm", name, x, Fields().number("epsilon", op.number_or("epsilon", 1e-5))));
}

void OnnxImporter::group_normalization(OnnxOperator& op) {
  const Value x = image(op, 0);
  op.integer_or("stash_type", 1);
  const int64_t groups = op.integer_or("num_groups", 0);
  const Value w = constant(op, 1);
  // Until opset 20 the factors were those of groups.
  if (model_.opset < 21) op.refuse("expected opset 21 or later");
  const std::string name = layer_name(op, w.tensor_name);
  weight(op, name + ".weight", op.input(1));
  weight(op, name + ".bias", op.input(2));
  give(op, layer("group_norm", name, x,
                 Fields().integer("groups", groups).number("epsilon", op.number_or("epsilon", 1e-5))));
}

void OnnxImporter::lrn(OnnxOperator& op) {
  const Value x = image(op, 0);
  Fields fields;
  const int64_t size = op.integer_or("size", 0);
  if (size % 2 == 0) op.refuse("attribute size: expected an odd number, found " + std::to_string(size));
  fields.integer("size", size)
      .number("alpha", op.number_or("alpha", 1e-4))
      .number("beta", op.number_or("beta", 0.75))
      .number("k", op.number_or("bias", 1));
  give(op, layer("lrn", layer_name(op), x, fields));
}

}  // namespace convoy
