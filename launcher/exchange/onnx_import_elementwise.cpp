// Operators on single elements, alone or of two values.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "launcher/exchange/onnx_importer.h"

namespace convoy {
namespace {

bool is_near(std::optional<float> value, double wanted) { return value && std::abs(*value - wanted) < 1e-4; }

}  // namespace

void OnnxImporter::activation(OnnxOperator& op) {
  const Value x = data(op, 0);
  Fields fields;
  std::string type;
  if (op.type() == "Relu") type = "relu";
  if (op.type() == "Tanh") type = "tanh";
  if (op.type() == "HardSwish") type = "hard_swish";
  if (op.type() == "LeakyRelu") {
    type = "leaky_relu";
    fields.number("slope", op.number_or("alpha", 0.01));
  }
  if (op.type() == "Elu") {
    type = "elu";
    fields.number("alpha", op.number_or("alpha", 1));
  }
  CHECK(!type.empty(), op.type());
  give(op, layer(type, layer_name(op), x, fields));
}

// sigmoid, or with x · sigmoid(x) as its only reader silu; likewise hard_sigmoid and hard_swish.
void OnnxImporter::sigmoid(OnnxOperator& op) {
  const Value x = data(op, 0);
  const bool hard = op.type() == "HardSigmoid";
  if (hard && (!is_near(op.number_or("alpha", 0.2), 1.0 / 6) || !is_near(op.number_or("beta", 0.5), 0.5)))
    op.refuse("expected alpha 1/6 and beta 1/2");
  if (const OnnxNode* product = only_reader(op.node(), "Mul"); product != nullptr && product->inputs.size() == 2) {
    const std::string& other = product->inputs[product->inputs[0] == op.node().outputs.front() ? 1 : 0];
    const auto found = values_.find(other);
    if (found != values_.end() && found->second.layer == x.layer && found->second.form == x.form) {
      give(op, *product, layer(hard ? "hard_swish" : "silu", layer_name(op), x));
      done_.insert(product);
      return;
    }
  }
  give(op, layer(hard ? "hard_sigmoid" : "sigmoid", layer_name(op), x));
}

// The bounds of relu6 and relu.
void OnnxImporter::clip(OnnxOperator& op) {
  const Value x = data(op, 0);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double low = op.number_or("min", -kInfinity), high = op.number_or("max", kInfinity);
  const auto bound = [&](size_t i, double& into) {
    if (op.input(i).empty()) return;
    const auto number = constant_number(op.input(i));
    if (!number) op.refuse("expected constant bounds");
    into = *number;
  };
  bound(1, low);
  bound(2, high);
  if (low != 0 || (high != 6 && high < 3e38)) op.refuse("expected bounds 0 and 6, or 0 and none");
  give(op, layer(high == 6 ? "relu6" : "relu", layer_name(op), x));
}

void OnnxImporter::gelu(OnnxOperator& op) {
  const Value x = data(op, 0);
  const std::string kind = op.text_or("approximate", "none");
  if (kind != "none" && kind != "tanh") op.refuse("attribute approximate: expected none or tanh, found " + kind);
  Fields fields;
  if (kind == "tanh") fields.text("approximate", kind);
  give(op, layer("gelu", layer_name(op), x, fields));
}

// x / sqrt(2) → Erf → + 1 → · x → · 1/2, as PyTorch exports gelu before opset 20.
bool OnnxImporter::gelu_of_erf(OnnxOperator& op) {
  const OnnxNode& node = op.node();
  const OnnxNode* erf = only_reader(node, "Erf");
  const OnnxNode* plus = erf == nullptr ? nullptr : only_reader(*erf, "Add");
  const OnnxNode* times = plus == nullptr ? nullptr : only_reader(*plus, "Mul");
  const OnnxNode* half = times == nullptr ? nullptr : only_reader(*times, "Mul");
  if (half == nullptr || node.inputs.size() != 2 || is_constant(node.inputs[0])) return false;
  const Value x = data(op, 0);
  const auto other = [](const OnnxNode& of, const OnnxNode& first) -> std::string_view {
    if (of.inputs.size() != 2) return {};
    return of.inputs[of.inputs[0] == first.outputs.front() ? 1 : 0];
  };
  const auto same = values_.find(other(*times, *plus));
  const double factor = node.op_type == "Div" ? std::sqrt(2.0) : std::sqrt(0.5);
  if (!is_near(constant_number(node.inputs[1]), factor) || !is_near(constant_number(other(*plus, *erf)), 1) ||
      !is_near(constant_number(other(*half, *times)), 0.5) || same == values_.end() || same->second.layer != x.layer ||
      same->second.form != x.form)
    return false;
  give(op, *half, layer("gelu", layer_name(op), x));
  done_.insert({erf, plus, times, half});
  return true;
}

void OnnxImporter::softmax(OnnxOperator& op) {
  const Value x = data(op, 0);
  const int64_t rank = x.form == Form::kFlat ? 2 : 4, channels = x.form == Form::kLast ? 3 : 1;
  int64_t axis = op.integer_or("axis", model_.opset < 13 ? 1 : -1);
  axis += axis < 0 ? rank : 0;
  const bool of_all = model_.opset < 13;  // axes behind this one count as one
  if (axis != channels || (of_all && rank != 2 && !(x.form == Form::kImage && x.one_pixel)))
    op.refuse("expected it over the channels");
  if (op.node().outputs.front() == output_name_) {
    training_notes_.push_back("the final " + op.type() + " is left out: the network ends in logits");
    give(op, x);
    return;
  }
  if (op.type() == "LogSoftmax" || x.unordered) op.refuse("expected it at the end of the network");
  give(op, layer("softmax", layer_name(op), x));
}

// ---- Two values

// Sums and products of two values, or of one and a constant for each channel.
void OnnxImporter::binary(OnnxOperator& op) {
  op.integer_or("axis", 0);  // of old broadcasting
  if (op.node().inputs.size() != 2) op.bad("expected two inputs");
  const bool first_constant = is_constant(op.input(0)), second_constant = is_constant(op.input(1));
  if (first_constant && second_constant) op.refuse("of two constants");
  if (second_constant && (op.type() == "Div" || op.type() == "Mul") && gelu_of_erf(op)) return;
  if (first_constant || second_constant) {
    scale_channels(op, data(op, first_constant ? 1 : 0), first_constant ? 0 : 1);
    return;
  }
  if (op.type() != "Add" && op.type() != "Mul") op.refuse("of two values");
  std::vector<Value> both = {data(op, 0), data(op, 1)};
  if (both[0].form != both[1].form) op.refuse("of a flattened value and an image");
  if (both[0].unordered != both[1].unordered || both[0].last_order != both[1].last_order)
    op.refuse("of two values that were flattened differently");
  if (both[0].one_pixel && !both[1].one_pixel) std::swap(both[0], both[1]);
  if (op.type() == "Add" && both[1].one_pixel != both[0].one_pixel) op.refuse("of an image and one pixel");
  give(op, layer_of_several(op.type() == "Add" ? "add" : "multiply", layer_name(op), both));
}

void OnnxImporter::sum(OnnxOperator& op) {
  std::vector<Value> all;
  for (size_t i = 0; i < op.node().inputs.size(); ++i) all.push_back(data(op, i));
  if (all.empty()) op.bad("expected inputs, found none");
  for (const Value& it : all) {
    if (it.form != all[0].form || it.unordered || it.last_order || it.one_pixel != all[0].one_pixel)
      op.refuse("expected inputs of one shape");
  }
  give(op, all.size() == 1 ? all.front() : layer_of_several("add", layer_name(op), all));
}

// A factor or a summand for each channel: a depthwise 1x1 convolution.
void OnnxImporter::scale_channels(OnnxOperator& op, const Value& x, size_t constant_input) {
  const Value it = constant(op, constant_input);
  const std::vector<int64_t>& dims = it.tensor->dims;
  const int64_t channels = std::ssize(it.tensor->values), behind = x.form == Form::kImage ? 2 : 0;
  const bool by_channel = std::ssize(dims) > behind &&
                          std::ranges::all_of(dims.end() - behind, dims.end(), [](int64_t dim) { return dim == 1; }) &&
                          *(dims.end() - behind - 1) == channels;
  const bool ordered = constant_input == 1 || op.type() == "Add" || op.type() == "Mul";
  if (!by_channel || channels < 2 || !ordered || x.unordered || x.last_order)
    op.refuse("expected a constant of one number for each channel on its right side");
  const bool is_factor = op.type() == "Mul" || op.type() == "Div";
  const std::string name = layer_name(op);
  Fields fields;
  fields.integer("filters", channels).integer("kernel", 1).integer("groups", channels).boolean("bias", !is_factor);
  Value y = layer("conv2d", name, x, fields);
  std::vector<float> values = take_values(op, it);
  if (op.type() == "Div") std::ranges::for_each(values, [](float& value) { value = 1 / value; });
  if (op.type() == "Sub") std::ranges::for_each(values, [](float& value) { value = -value; });
  if (is_factor) {
    weight_values(name + ".weight", it.tensor_name, {channels, 1, 1, 1}, std::move(values));
  } else {
    weight_values(name + ".weight", "", {channels, 1, 1, 1}, std::vector<float>(static_cast<size_t>(channels), 1.0F));
    weight_values(name + ".bias", it.tensor_name, {channels}, std::move(values));
  }
  give(op, std::move(y));
}

}  // namespace convoy
