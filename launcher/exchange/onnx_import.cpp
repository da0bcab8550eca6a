// The graph, names and layers of an ONNX model; what operators mean is in onnx_import_*.cpp.
#include <algorithm>
#include <charconv>
#include <cmath>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/mapped_file.h"
#include "core/io/dims.h"
#include "core/io/limited_json.h"
#include "launcher/exchange/onnx_importer.h"
#include "launcher/exchange/readers.h"

namespace convoy {
namespace {

constexpr int64_t kFirstOpset = 7;        // before, operators broadcast by attributes
constexpr size_t kLongestName = 90;       // model files allow 100
constexpr size_t kFreeCopies = 1U << 20;  // elements

std::string number_text(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, static_cast<float>(value));
  return {text, end};
}

}  // namespace

// ---- YAML

OnnxImporter::Fields& OnnxImporter::Fields::text(std::string_view key, std::string_view value) {
  yaml_ += (yaml_.empty() ? "" : ", ") + std::string(key) + ": " + std::string(value);
  return *this;
}

OnnxImporter::Fields& OnnxImporter::Fields::integer(std::string_view key, int64_t value) {
  return text(key, std::to_string(value));
}

OnnxImporter::Fields& OnnxImporter::Fields::number(std::string_view key, double value) {
  return text(key, number_text(value));
}

OnnxImporter::Fields& OnnxImporter::Fields::list(std::string_view key, const std::vector<int64_t>& values) {
  std::string all;
  for (const int64_t value : values) all += (all.empty() ? "" : ", ") + std::to_string(value);
  return text(key, "[" + all + "]");
}

OnnxImporter::Fields& OnnxImporter::Fields::pair(std::string_view key, int64_t height, int64_t width) {
  return height == width ? integer(key, height) : list(key, {height, width});
}

OnnxImporter::Fields& OnnxImporter::Fields::names(std::string_view key, const std::vector<std::string>& values) {
  std::string all;
  for (const std::string& value : values) all += (all.empty() ? "'" : ", '") + value + "'";
  return text(key, "[" + all + "]");
}

// ---- The graph

OnnxImporter::OnnxImporter(OnnxModel model, const std::string& path) : model_(std::move(model)), path_(path) {
  for (OnnxTensor& tensor : model_.initializers) {
    elements_ += tensor.values.size();
    Value it;
    it.form = Form::kConstant;
    it.tensor = &tensor;
    it.tensor_name = tensor.name;
    if (tensor.name.empty() || !values_.emplace(tensor.name, std::move(it)).second)
      bad_data(path_, "expected one initializer called '" + tensor.name + "', found two, or no name");
  }
}

// The one input that is no initializer.
void OnnxImporter::find_input() {
  for (const OnnxValue& input : model_.inputs) {
    if (values_.contains(input.name)) continue;
    if (!input_name_.empty() || input.name.empty())
      throw Error(ExitCode::kConfig,
                  path_ + ": expected one input, the image; found '" + input_name_ + "' and '" + input.name + "'");
    input_name_ = input.name;
    if (input.type != OnnxType::kFloat && input.type != OnnxType::kFloat16 && input.type != OnnxType::kBFloat16 &&
        input.type != OnnxType::kDouble)
      throw Error(ExitCode::kConfig, path_ + ": input '" + input.name + "': expected floating point numbers");
    if (input.dims && input.dims->size() != 4)
      throw Error(ExitCode::kConfig, path_ + ": input '" + input.name + "': expected 4 dimensions, N,C,H,W, found " +
                                         std::to_string(input.dims->size()));
  }
  if (input_name_.empty() || model_.outputs.empty())
    bad_data(path_, "expected a graph with an input and an output, found none");
  output_name_ = model_.outputs.front().name;
  if (model_.outputs.size() > 1)
    notes_.push_back("outputs other than '" + output_name_ +
                     "' are left out: " + std::to_string(model_.outputs.size() - 1));
}

void OnnxImporter::find_needed() {
  std::map<std::string_view, size_t> producers;
  for (size_t i = 0; i < model_.nodes.size(); ++i) {
    for (const std::string& output : model_.nodes[i].outputs) {
      if (!output.empty() && !producers.emplace(output, i).second)
        bad_data(path_, "expected one node that makes '" + output + "', found two");
    }
  }
  needed_.assign(model_.nodes.size(), false);
  std::vector<std::string_view> wanted = {output_name_};
  while (!wanted.empty()) {
    const auto producer = producers.find(wanted.back());
    wanted.pop_back();
    if (producer == producers.end() || needed_[producer->second]) continue;
    const OnnxNode& node = model_.nodes[producer->second];
    needed_[producer->second] = true;
    for (const std::string& input : node.inputs) {
      wanted.push_back(input);
      auto& readers = readers_[input];
      if (readers.empty() || readers.back() != &node) readers.push_back(&node);
    }
  }
  readers_[output_name_].push_back(nullptr);
}

// How often each initializer is read, under whichever name.
void OnnxImporter::count_uses() {
  std::map<std::string_view, const OnnxTensor*> tensors;
  for (const OnnxTensor& tensor : model_.initializers) tensors.emplace(tensor.name, &tensor);
  for (size_t i = 0; i < model_.nodes.size(); ++i) {
    const OnnxNode& node = model_.nodes[i];
    if (!needed_[i]) continue;
    for (const std::string& input : node.inputs) {
      const auto found = tensors.find(input);
      if (found == tensors.end()) continue;
      if ((node.op_type == "Identity" || node.op_type == "Cast") && !node.outputs.empty()) {
        tensors.emplace(node.outputs.front(), found->second);
      } else {
        ++uses_[found->second];
      }
    }
  }
}

void OnnxImporter::take_nodes() {
  for (size_t i = 0; i < model_.nodes.size(); ++i) {  // patterns look at constants of later nodes
    if (needed_[i] && is_foldable(model_.nodes[i])) take(model_.nodes[i]);
  }
  for (size_t i = 0; i < model_.nodes.size(); ++i) {
    if (needed_[i] && !done_.contains(&model_.nodes[i])) take(model_.nodes[i]);
  }
}

// Nothing but constants: exporters that fold nothing leave such nodes.
bool OnnxImporter::is_foldable(const OnnxNode& node) const {
  static const std::set<std::string_view> kTypes = {"Cast", "Concat", "Constant", "Identity", "Transpose", "Unsqueeze"};
  return kTypes.contains(node.op_type) && !node.outputs.empty() &&
         std::ranges::all_of(node.inputs, [&](const std::string& input) { return is_constant(input); });
}

void OnnxImporter::take(const OnnxNode& node) {
  OnnxOperator op(node, path_);
  const auto take_operator = kOperators.find(node.op_type);
  if (take_operator == kOperators.end()) op.refuse("this operator is not supported");
  if (node.outputs.empty()) op.bad("expected an output, found none");
  for (size_t k = 1; k < node.outputs.size(); ++k) {
    if (readers_.contains(node.outputs[k])) op.refuse("its output " + std::to_string(k) + " is used");
  }
  (this->*take_operator->second)(op);
  op.done();
  done_.insert(&node);
}

// ---- Values

OnnxImporter::Value& OnnxImporter::value(const OnnxOperator& op, std::string_view name) {
  if (name.empty()) op.bad("an input is missing");
  const auto found = values_.find(name);
  if (found == values_.end()) op.bad("reads '" + std::string(name) + "', which nothing before it makes");
  return found->second;
}

OnnxImporter::Value& OnnxImporter::data(const OnnxOperator& op, size_t i) {
  Value& it = input(op, i);
  if (it.form == Form::kConstant) op.refuse("input " + std::to_string(i) + ": expected a value, found a constant");
  return it;
}

OnnxImporter::Value& OnnxImporter::image(const OnnxOperator& op, size_t i) {
  Value& it = data(op, i);
  if (it.form != Form::kImage)
    op.refuse("input " + std::to_string(i) + ": expected an image, N,C,H,W, found it flattened or transposed");
  return it;
}

OnnxImporter::Value& OnnxImporter::constant(const OnnxOperator& op, size_t i) {
  Value& it = input(op, i);
  if (it.form != Form::kConstant || it.tensor == nullptr)
    op.refuse("input " + std::to_string(i) + ": expected a constant, found one that is computed");
  return it;
}

const std::vector<float>& OnnxImporter::constant_floats(const OnnxOperator& op, size_t i) {
  const OnnxTensor& tensor = *constant(op, i).tensor;
  if (!tensor.is_float()) op.refuse("input " + std::to_string(i) + ": expected floating point numbers");
  return tensor.values;
}

std::vector<int64_t> OnnxImporter::constant_integers(const OnnxOperator& op, size_t i) {
  const Value& it = input(op, i);
  if (it.form != Form::kConstant)
    op.refuse("input " + std::to_string(i) + ": expected a constant, found one that is computed");
  return it.tensor == nullptr ? it.integers : it.tensor->integers;
}

bool OnnxImporter::is_constant(std::string_view name) const {
  const auto found = values_.find(name);
  return found != values_.end() && found->second.form == Form::kConstant;
}

std::optional<float> OnnxImporter::constant_number(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end() || found->second.tensor == nullptr || found->second.tensor->values.size() != 1) return {};
  return found->second.tensor->values.front();
}

void OnnxImporter::give(const OnnxOperator& op, Value value) { give(op, op.node(), std::move(value)); }

void OnnxImporter::give(const OnnxOperator& op, const OnnxNode& last, Value value) {
  if (last.outputs.empty() || !values_.emplace(last.outputs.front(), std::move(value)).second)
    op.bad("expected an output of a new name, found none");
}

// The only reader of the node's output, if it is such an operator with one output; else null.
const OnnxNode* OnnxImporter::only_reader(const OnnxNode& node, std::string_view op_type) const {
  const auto readers = readers_.find(node.outputs.front());
  if (readers == readers_.end() || readers->second.size() != 1 || readers->second.front() == nullptr) return nullptr;
  const OnnxNode* reader = readers->second.front();
  return reader->op_type == op_type && !reader->outputs.empty() ? reader : nullptr;
}

// ---- Layers

// After the weight where that says "layer1.0.conv1.weight", else after the node, else after the operator.
std::string OnnxImporter::layer_name(const OnnxOperator& op, std::string_view weight) {
  constexpr std::string_view kEnding = ".weight";
  std::string name = op.node().name;
  if (weight.ends_with(kEnding)) name = weight.substr(0, weight.size() - kEnding.size());
  for (char& letter : name) {
    const bool legal = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                       (letter >= '0' && letter <= '9') || letter == '.' || letter == '-';
    if (letter == '/') {
      letter = '.';
    } else if (!legal) {
      letter = '_';
    }
  }
  name.erase(0, std::min(name.find_first_not_of('.'), name.size()));
  if (name.size() > kLongestName) name.erase(0, name.size() - kLongestName);
  if (name.empty()) name = op.type();
  std::string unique = name;
  while (!names_.insert(unique).second) unique = name + "_" + std::to_string(++numbers_[name] + 1);
  return unique;
}

OnnxImporter::Value OnnxImporter::layer(const std::string& type, const std::string& name, const Value& from,
                                        const Fields& fields) {
  Fields all;
  all.text("name", "'" + name + "'");
  if (from.layer != last_layer_) all.text("input", "'" + from.layer + "'");
  yaml_ += "  - " + type + ": {" + all.yaml() + (fields.yaml().empty() ? "" : ", ") + fields.yaml() + "}\n";
  last_layer_ = name;
  Value made = from;
  made.layer = name;
  return made;
}

OnnxImporter::Value OnnxImporter::layer_of_several(const std::string& type, const std::string& name,
                                                   const std::vector<Value>& from) {
  std::vector<std::string> inputs;
  for (const Value& it : from) inputs.push_back(it.layer);
  Fields fields;
  fields.text("name", "'" + name + "'").names("inputs", inputs);
  yaml_ += "  - " + type + ": {" + fields.yaml() + "}\n";
  last_layer_ = name;
  Value made = from.front();
  made.layer = name;
  made.one_pixel = std::ranges::all_of(from, &Value::one_pixel);
  return made;
}

void OnnxImporter::count_copied(const OnnxOperator& op, const OnnxTensor& tensor) {
  copied_ += tensor.values.size() + tensor.integers.size();
  if (copied_ > elements_ + kFreeCopies) op.bad("weights that are shared would take more memory than the file");
}

std::vector<float> OnnxImporter::take_values(const OnnxOperator& op, const Value& constant) {
  OnnxTensor& tensor = *constant.tensor;
  if (!tensor.is_float()) op.refuse("'" + constant.tensor_name + "': expected floating point numbers");
  const auto uses = uses_.find(&tensor);
  if (uses != uses_.end() && uses->second == 1) {
    if (dims_product(1, tensor.dims) != std::ssize(tensor.values)) op.bad("reads a weight twice");
    return std::move(tensor.values);
  }
  count_copied(op, tensor);
  return tensor.values;
}

std::vector<float> OnnxImporter::take_transposed(const OnnxOperator& op, const Value& constant) {
  const std::vector<int64_t> dims = constant.tensor->dims;
  CHECK(dims.size() == 2);
  const std::vector<float> from = take_values(op, constant);
  const auto rows = static_cast<size_t>(dims[0]), columns = static_cast<size_t>(dims[1]);
  std::vector<float> to(from.size());
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) to[column * rows + row] = from[row * columns + column];
  }
  return to;
}

void OnnxImporter::weight(const OnnxOperator& op, const std::string& name, std::string_view tensor,
                          std::vector<int64_t> dims, std::optional<WeightOrder> order) {
  const Value& it = value(op, tensor);
  if (it.form != Form::kConstant || it.tensor == nullptr)
    op.refuse("'" + std::string(tensor) + "': expected a constant, found a weight that is computed");
  if (dims.empty()) dims = it.tensor->dims;
  weight_values(name, it.tensor_name, std::move(dims), take_values(op, it), order);
}

void OnnxImporter::weight_values(const std::string& name, const std::string& original, std::vector<int64_t> dims,
                                 std::vector<float> values, std::optional<WeightOrder> order) {
  tensors_.push_back({name, original, {name, std::move(dims), std::move(values)}, order});
}

// ---- The whole

void OnnxImporter::read_metadata(ForeignModel& out) const {
  if (const auto found = model_.metadata.find("convoy.preprocessing"); found != model_.metadata.end())
    out.preprocessing = parse_preprocessing(found->second, path_ + ": convoy.preprocessing");
  const auto classes = model_.metadata.find("convoy.classes");
  if (classes == model_.metadata.end()) return;
  const nlohmann::json names = parse_limited_json(classes->second, path_ + ": convoy.classes");
  if (!names.is_array() || !std::ranges::all_of(names, [](const auto& name) { return name.is_string(); }))
    bad_data(path_, "convoy.classes: expected a JSON list of names");
  out.class_names = names.get<std::vector<std::string>>();
}

void OnnxImporter::finish(ForeignModel& out) {
  const auto output = values_.find(output_name_);
  if (output == values_.end() || output->second.form == Form::kConstant || yaml_.empty())
    bad_data(path_, "expected layers between '" + input_name_ + "' and '" + output_name_ + "', found none");
  const Value& last = output->second;
  if (last.layer != last_layer_)
    throw Error(ExitCode::kConfig, path_ + ": the output is that of '" + last.layer + "', behind which there is more");
  if (last.unordered)
    throw Error(ExitCode::kConfig, path_ + ": expected the output to be made by a linear layer or of one pixel");
  const auto& dims = model_.outputs.front().dims;
  if (dims && dims->size() > 1 && dims->at(1).value > 0) classes_ = dims->at(1).value;
  if (classes_ > 0 && classes_ <= 1 << 24) out.classes = static_cast<int>(classes_);
  if (!out.class_names.empty() && out.classes > 0 && std::ssize(out.class_names) != out.classes)
    bad_data(path_, "convoy.classes: expected " + std::to_string(out.classes) + " names, found " +
                        std::to_string(out.class_names.size()));
  out.model = (out.classes > 0 ? "classes: " + std::to_string(out.classes) + "\n" : "") + "layers:\n" + yaml_;
}

ForeignModel OnnxImporter::run() {
  if (model_.opset < kFirstOpset)
    throw Error(ExitCode::kConfig, path_ + ": expected opset " + std::to_string(kFirstOpset) + " or later, found " +
                                       std::to_string(model_.opset));
  find_input();
  find_needed();
  count_uses();

  // An input that is only ever transposed to N,C,H,W is N,H,W,C.
  const auto& readers = readers_[input_name_];
  const bool last = !readers.empty() && std::ranges::all_of(readers, [&](const OnnxNode* node) {
    if (node == nullptr || node->op_type != "Transpose") return false;
    return OnnxOperator(*node, path_).integers_or("perm", {}) == std::vector<int64_t>{0, 3, 1, 2};
  });
  Value image;
  image.form = last ? Form::kLast : Form::kImage;
  image.layer = "image";
  for (const OnnxValue& input : model_.inputs) {
    if (input.name != input_name_ || !input.dims) continue;
    const auto dim = [&](size_t i) { return input.dims->at(i).value; };
    batch_ = dim(0);
    const std::array<int64_t, 3> sizes = {dim(last ? 1 : 2), dim(last ? 2 : 3), dim(last ? 3 : 1)};
    if (std::ranges::all_of(sizes, [](int64_t size) { return size > 0 && size <= 1 << 24; }))
      shape_ = {static_cast<int>(sizes[0]), static_cast<int>(sizes[1]), static_cast<int>(sizes[2])};
  }
  values_.emplace(input_name_, std::move(image));
  take_nodes();

  ForeignModel out;
  out.path = path_;
  out.format = "ONNX, opset " + std::to_string(model_.opset) + (model_.producer.empty() ? "" : ", by ") +
               model_.producer + (model_.producer_version.empty() ? "" : " ") + model_.producer_version;
  out.order = WeightOrder::kPytorch;
  out.shape = shape_;
  read_metadata(out);
  finish(out);
  out.tensors = std::move(tensors_);
  out.notes = std::move(notes_);
  out.training_notes = std::move(training_notes_);
  return out;
}

const std::map<std::string_view, OnnxImporter::Take> OnnxImporter::kOperators = {
    {"Add", &OnnxImporter::binary},
    {"AveragePool", &OnnxImporter::pool},
    {"BatchNormalization", &OnnxImporter::batch_normalization},
    {"Cast", &OnnxImporter::same},
    {"Clip", &OnnxImporter::clip},
    {"Concat", &OnnxImporter::concat},
    {"Constant", &OnnxImporter::constant_node},
    {"Conv", &OnnxImporter::conv},
    {"ConvTranspose", &OnnxImporter::conv_transpose},
    {"Div", &OnnxImporter::binary},
    {"Dropout", &OnnxImporter::same},
    {"Elu", &OnnxImporter::activation},
    {"Flatten", &OnnxImporter::flatten},
    {"Gather", &OnnxImporter::gather},
    {"Gelu", &OnnxImporter::gelu},
    {"Gemm", &OnnxImporter::gemm},
    {"GlobalAveragePool", &OnnxImporter::global_pool},
    {"GlobalMaxPool", &OnnxImporter::global_pool},
    {"GroupNormalization", &OnnxImporter::group_normalization},
    {"HardSigmoid", &OnnxImporter::sigmoid},
    {"HardSwish", &OnnxImporter::activation},
    {"Identity", &OnnxImporter::same},
    {"LRN", &OnnxImporter::lrn},
    {"LayerNormalization", &OnnxImporter::layer_normalization},
    {"LeakyRelu", &OnnxImporter::activation},
    {"LogSoftmax", &OnnxImporter::softmax},
    {"MatMul", &OnnxImporter::matmul},
    {"MaxPool", &OnnxImporter::pool},
    {"Mul", &OnnxImporter::binary},
    {"Pad", &OnnxImporter::pad},
    {"ReduceMax", &OnnxImporter::reduce},
    {"ReduceMean", &OnnxImporter::reduce},
    {"Relu", &OnnxImporter::activation},
    {"Reshape", &OnnxImporter::reshape},
    {"Resize", &OnnxImporter::resize},
    {"Shape", &OnnxImporter::shape_of},
    {"Sigmoid", &OnnxImporter::sigmoid},
    {"Softmax", &OnnxImporter::softmax},
    {"Squeeze", &OnnxImporter::squeeze},
    {"Sub", &OnnxImporter::binary},
    {"Sum", &OnnxImporter::sum},
    {"Tanh", &OnnxImporter::activation},
    {"Transpose", &OnnxImporter::transpose},
    {"Unsqueeze", &OnnxImporter::unsqueeze},
    {"Upsample", &OnnxImporter::resize},
};

ForeignModel from_onnx(OnnxModel model, const std::string& path) { return OnnxImporter(std::move(model), path).run(); }

ForeignModel read_onnx_model(const std::string& path) {
  OnnxModel model = parse_onnx(MappedFile(path).bytes(), path);
  return from_onnx(std::move(model), path);
}

}  // namespace convoy
