#include "launcher/exchange/onnx_writer.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"

namespace convoy {

OnnxAttribute onnx_integer(std::string name, int64_t value) {
  OnnxAttribute attribute;
  attribute.name = std::move(name);
  attribute.type = OnnxAttribute::Type::kInt;
  attribute.integer = value;
  return attribute;
}

OnnxAttribute onnx_number(std::string name, double value) {
  OnnxAttribute attribute;
  attribute.name = std::move(name);
  attribute.type = OnnxAttribute::Type::kFloat;
  attribute.number = static_cast<float>(value);
  return attribute;
}

OnnxAttribute onnx_text(std::string name, std::string value) {
  OnnxAttribute attribute;
  attribute.name = std::move(name);
  attribute.type = OnnxAttribute::Type::kString;
  attribute.text = std::move(value);
  return attribute;
}

OnnxAttribute onnx_integers_attribute(std::string name, std::vector<int64_t> values) {
  OnnxAttribute attribute;
  attribute.name = std::move(name);
  attribute.type = OnnxAttribute::Type::kInts;
  attribute.integers = std::move(values);
  return attribute;
}

OnnxWriter::OnnxWriter(const Graph& graph) : graph_(graph), values_(static_cast<size_t>(graph.values())) {
  model_.ir_version = 7;
  model_.producer = "convoy";
  model_.opset = 13;
}

void OnnxWriter::need_opset(int64_t opset) { model_.opset = std::max(model_.opset, opset); }

std::string OnnxWriter::unique(std::string name) {
  while (!names_.insert(name).second) name += "_";
  return name;
}

std::string OnnxWriter::image(ValueId id) {
  Value& it = value(id);
  CHECK(!it.name.empty(), "a value that nobody made");
  if (!it.flat) return it.name;
  return node(it.name + ".image", "Reshape", {it.name, integers(it.name + ".image_shape", {0, -1, 1, 1})});
}

std::string OnnxWriter::flat(ValueId id) {
  Value& it = value(id);
  CHECK(!it.name.empty() && graph_.shape(id).h == 1 && graph_.shape(id).w == 1, "a value that is not flat");
  if (it.flat) return it.name;
  return node(it.name + ".flat", "Flatten", {it.name}, {onnx_integer("axis", 1)});
}

std::string OnnxWriter::node(const std::string& name, std::string op_type, std::vector<std::string> inputs,
                             std::vector<OnnxAttribute> attributes) {
  const std::string output = unique(name);
  model_.nodes.push_back({output, std::move(op_type), std::move(inputs), {output}, std::move(attributes)});
  return output;
}

std::string OnnxWriter::floats(const std::string& name, std::vector<int64_t> dims, std::vector<float> values) {
  model_.initializers.push_back(onnx_floats(unique(name), std::move(dims), std::move(values)));
  return model_.initializers.back().name;
}

std::string OnnxWriter::integers(const std::string& name, std::vector<int64_t> values) {
  model_.initializers.push_back(onnx_integers(unique(name), std::move(values)));
  return model_.initializers.back().name;
}

}  // namespace convoy
