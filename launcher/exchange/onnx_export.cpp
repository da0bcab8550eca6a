// Networks to ONNX, as PyTorch would export them: operators of opset 13 or later, N,C,H,W, weights O,I,h,w.
#include <algorithm>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/file.h"
#include "launcher/exchange/onnx_writer.h"
#include "launcher/exchange/readers.h"
#include "launcher/exchange/weights.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/pool.h"

namespace convoy {
namespace {

using Attributes = std::vector<OnnxAttribute>;
using Node = Graph::Node;

// What keeps the order of elements, whatever it is.
bool is_elementwise(const std::string& type) {
  static const std::vector<std::string> kTypes = {"batch_norm", "dropout", "relu"};
  return std::ranges::find(kTypes, type) != kTypes.end();
}

class Exporter {
 public:
  Exporter(const Network& network, const ExportOptions& options)
      : network_(network), options_(options), graph_(network.model.graph), out_(graph_) {
    for (WeightPlace& place : weight_places(graph_)) places_.emplace(place.name, std::move(place));
  }

  OnnxModel run() {
    const std::string image = out_.unique("image");
    out_.unique(output_name());  // nothing else is called so
    for (const Graph::Input& input : graph_.inputs()) {
      CHECK(input.name == "image", input.name);
      out_.value(input.value).name = image;
    }
    for (const Node& node : graph_.nodes()) write(node);
    finish(image);
    return std::move(out_.model());
  }

 private:
  using Write = std::string (Exporter::*)(const Node&);
  static const std::map<std::string_view, Write> kLayers;

  std::string output_name() const { return options_.probabilities ? "probabilities" : "logits"; }

  void write(const Node& node) {
    const auto write_layer = kLayers.find(node.layer->type());
    if (write_layer == kLayers.end())
      throw Error(ExitCode::kConfig,
                  node.where + ": layer '" + node.name + "' (" + node.layer->type() + ") cannot be written as ONNX");
    const OnnxWriter::Value& first = out_.value(node.inputs.front());
    OnnxWriter::Value& output = out_.value(node.output);
    output.flat = first.flat;  // of what keeps the rank; others set it
    output.ours = first.ours && is_elementwise(node.layer->type());
    output.name = (this->*write_layer->second)(node);
  }

  // ---- Parts of layers

  const Shape& input(const Node& node, size_t i = 0) const { return graph_.shape(node.inputs[i]); }
  const std::string& x(const Node& node, size_t i = 0) { return out_.value(node.inputs[i]).name; }
  std::string image(const Node& node, size_t i = 0) {
    out_.value(node.output).flat = false;
    return out_.image(node.inputs[i]);
  }
  bool has(const Node& node, const std::string& parameter) const {
    return places_.contains(node.name + "." + parameter);
  }

  // The initializer with a parameter or statistic of the layer.
  std::string weight(const Node& node, const std::string& parameter) {
    WeightPlace place = places_.at(node.name + "." + parameter);
    if (out_.value(node.inputs.front()).ours) place.flattened = {1, 1, 1, place.shape.c};
    const auto found = network_.weights.find(place.name);
    CHECK(found != network_.weights.end(), place.name);
    return out_.floats(node.name + "." + (parameter == "running_variance" ? "running_var" : parameter),
                       dims_in(WeightOrder::kPytorch, place), to_order(WeightOrder::kPytorch, place, found->second));
  }

  // The parameter, or where the layer has none, as many equal numbers.
  std::string weight_or(const Node& node, const std::string& parameter, float otherwise) {
    if (has(node, parameter)) return weight(node, parameter);
    const int64_t channels = input(node).c;
    return out_.floats(node.name + "." + parameter, {channels},
                       std::vector<float>(static_cast<size_t>(channels), otherwise));
  }

  static Attributes window_attributes(const Window& window, const Shape& input) {
    const auto [h, w] = window_axes(window, input);
    return {onnx_integers_attribute("kernel_shape", {window.kernel_h, window.kernel_w}),
            onnx_integers_attribute("strides", {window.stride_h, window.stride_w}),
            onnx_integers_attribute("pads", {h.low, w.low, h.high, w.high})};
  }

  // ---- Layers

  std::string unary(const Node& node, const std::string& op_type, Attributes attributes = {}) {
    return out_.node(node.name, op_type, {x(node)}, std::move(attributes));
  }

  std::string conv2d(const Node& node) {
    const Conv2dOptions& options = static_cast<const Conv2d&>(*node.layer).options();
    CHECK(!options.relu, "a rewritten graph");
    std::vector<std::string> inputs = {image(node), weight(node, "weight")};
    if (options.bias) inputs.push_back(weight(node, "bias"));
    Attributes attributes = window_attributes(options.window, input(node));
    attributes.push_back(onnx_integers_attribute("dilations", {options.window.dilation_h, options.window.dilation_w}));
    attributes.push_back(onnx_integer("group", options.groups));
    return out_.node(node.name, "Conv", std::move(inputs), std::move(attributes));
  }

  std::string linear(const Node& node) {
    const LinearOptions& options = static_cast<const Linear&>(*node.layer).options();
    CHECK(!options.relu, "a rewritten graph");
    std::vector<std::string> inputs = {out_.flat(node.inputs[0]), weight(node, "weight")};
    if (options.bias) inputs.push_back(weight(node, "bias"));
    out_.value(node.output).flat = true;
    return out_.node(node.name, "Gemm", std::move(inputs), {onnx_integer("transB", 1)});
  }

  std::string batch_norm(const Node& node) {
    const BatchNormOptions& options = static_cast<const BatchNorm&>(*node.layer).options();
    CHECK(!options.relu && !options.add, "a rewritten graph");
    return out_.node(node.name, "BatchNormalization",
                     {x(node), weight_or(node, "weight", 1), weight_or(node, "bias", 0), weight(node, "running_mean"),
                      weight(node, "running_variance")},
                     {onnx_number("epsilon", options.epsilon), onnx_number("momentum", 1 - options.momentum)});
  }

  std::string max_pool(const Node& node) {
    const Window& window = static_cast<const MaxPool&>(*node.layer).window();
    return out_.node(node.name, "MaxPool", {image(node)}, window_attributes(window, input(node)));
  }

  std::string average_pool(const Node& node) {
    const Window& window = static_cast<const AveragePool&>(*node.layer).window();
    Attributes attributes = window_attributes(window, input(node));
    attributes.push_back(onnx_integer("count_include_pad", 0));
    return out_.node(node.name, "AveragePool", {image(node)}, std::move(attributes));
  }

  std::string global_average(const Node& node) { return out_.node(node.name, "GlobalAveragePool", {image(node)}); }

  // Whether nothing but linear layers sees the order of the elements of a flattened value; they get theirs permuted.
  bool order_is_free(ValueId value) const {
    if (value == network_.model.logits) return false;
    return std::ranges::all_of(graph_.nodes(), [&](const Node& node) {
      if (std::ranges::find(node.inputs, value) == node.inputs.end()) return true;
      const std::string type = node.layer->type();
      return type == "linear" || (is_elementwise(type) && order_is_free(node.output));
    });
  }

  std::string flatten(const Node& node) {
    const OnnxWriter::Value before = out_.value(node.inputs[0]);
    OnnxWriter::Value& output = out_.value(node.output);
    output.ours = before.ours;
    if (before.flat) return before.name;
    output.flat = true;
    std::string from = before.name;
    const Shape& shape = input(node);
    if ((shape.h > 1 || shape.w > 1) && shape.c > 1 && !order_is_free(node.output)) {
      from = out_.node(node.name + ".hwc", "Transpose", {from}, {onnx_integers_attribute("perm", {0, 2, 3, 1})});
      output.ours = true;
    }
    return out_.node(node.name, "Flatten", {from}, {onnx_integer("axis", 1)});
  }

  // Several inputs; where some are [N,C], all become [N,C,1,1] unless all are [N,C].
  std::vector<std::string> of_one_rank(const Node& node) {
    const bool flat = std::ranges::all_of(node.inputs, [&](ValueId input) { return out_.value(input).flat; });
    std::vector<std::string> names;
    for (const ValueId input : node.inputs) names.push_back(flat ? out_.value(input).name : out_.image(input));
    out_.value(node.output).flat = flat;
    return names;
  }

  std::string add(const Node& node) { return fold(node, "Add", of_one_rank(node)); }

  // a op b op c …
  std::string fold(const Node& node, const std::string& op_type, const std::vector<std::string>& terms) {
    std::string sum = terms.front();
    for (size_t i = 1; i < terms.size(); ++i) sum = out_.node(node.name, op_type, {sum, terms[i]});
    return sum;
  }

  std::string concat(const Node& node) {
    return out_.node(node.name, "Concat", of_one_rank(node), {onnx_integer("axis", 1)});
  }

  std::string relu(const Node& node) { return unary(node, "Relu"); }
  std::string nothing(const Node& node) { return x(node); }  // in evaluation y = x

  // ---- The ends

  // The output of the network, [N,classes], as the node that makes it or as one more.
  void finish(const std::string& image) {
    OnnxModel& model = out_.model();
    const std::string logits = out_.flat(network_.model.logits);
    const bool is_last = !model.nodes.empty() && model.nodes.back().outputs.front() == logits;
    if (options_.probabilities) {
      model.nodes.push_back({"softmax", "Softmax", {logits}, {output_name()}, {onnx_integer("axis", 1)}});
    } else if (is_last) {
      model.nodes.back().outputs = {output_name()};
    } else {
      model.nodes.push_back({"output", "Identity", {logits}, {output_name()}, {}});
    }
    const Shape& shape = network_.sample;
    const auto dims = [](const std::vector<int64_t>& sizes) {
      std::vector<OnnxValue::Dim> list = {{-1, "N"}};
      for (const int64_t size : sizes) list.push_back({size, ""});
      return list;
    };
    model.inputs = {{image, OnnxType::kFloat, dims({shape.c, shape.h, shape.w})}};
    model.outputs = {{output_name(), OnnxType::kFloat, dims({graph_.shape(network_.model.logits).c})}};
    model.graph_name = network_.config.name.empty() ? "network" : network_.config.name;
    if (network_.preprocessing) model.metadata["convoy.preprocessing"] = to_json(*network_.preprocessing);
    if (!network_.class_names.empty()) model.metadata["convoy.classes"] = nlohmann::json(network_.class_names).dump();
  }

  const Network& network_;
  const ExportOptions& options_;
  const Graph& graph_;
  OnnxWriter out_;
  std::map<std::string, WeightPlace> places_;
};

const std::map<std::string_view, Exporter::Write> Exporter::kLayers = {
    {"add", &Exporter::add},
    {"average_pool", &Exporter::average_pool},
    {"batch_norm", &Exporter::batch_norm},
    {"concat", &Exporter::concat},
    {"conv2d", &Exporter::conv2d},
    {"dropout", &Exporter::nothing},
    {"flatten", &Exporter::flatten},
    {"global_average", &Exporter::global_average},
    {"linear", &Exporter::linear},
    {"max_pool", &Exporter::max_pool},
    {"relu", &Exporter::relu},
};

}  // namespace

OnnxModel to_onnx(const Network& network, const ExportOptions& options) { return Exporter(network, options).run(); }

void write_onnx_model(const std::string& path, const Network& network, const ExportOptions& options) {
  constexpr size_t kMostBytes = (size_t{1} << 31) - 1;  // of a Protocol Buffers message
  require_replaceable(path);
  const std::string file = format_onnx(to_onnx(network, options));
  if (file.size() > kMostBytes)
    throw Error(ExitCode::kCannotCreate, path + ": expected at most 2 GiB, as ONNX files may have, found " +
                                             std::to_string(file.size()) + " bytes");
  PosixFileSystem files;
  write_file_atomic(files, path, file);
}

}  // namespace convoy
