// Networks to ONNX, as PyTorch would export them: operators of opset 13 or later, N,C,H,W, weights O,I,h,w.
#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/file.h"
#include "launcher/exchange/fold.h"
#include "launcher/exchange/onnx_writer.h"
#include "launcher/exchange/readers.h"
#include "launcher/exchange/weights.h"
#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose.h"
#include "layers/group_norm.h"
#include "layers/linear.h"
#include "layers/lrn.h"
#include "layers/pad.h"
#include "layers/pool.h"
#include "layers/upsample.h"

namespace convoy {
namespace {

using Attributes = std::vector<OnnxAttribute>;
using Integers = std::vector<int64_t>;
using Node = Graph::Node;

// What keeps the order of elements, whatever it is.
bool is_elementwise(const std::string& type) {
  static const std::vector<std::string> kTypes = {"batch_norm", "dropout",      "elu",        "gelu",
                                                  "relu",       "hard_sigmoid", "hard_swish", "leaky_relu",
                                                  "relu6",      "sigmoid",      "silu",       "tanh"};
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
    OnnxWriter::Value& output = out_.value(node.output);
    output.flat = out_.value(node.inputs.front()).flat;  // of what keeps the rank; others set it
    output.ours = !has_matrix(node.layer->type()) &&
                  std::ranges::any_of(node.inputs, [&](ValueId input) { return out_.value(input).ours; });
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

  // The initializer with a parameter or statistic of the layer, under other dims where they are given.
  std::string weight(const Node& node, const std::string& parameter, Integers dims = {}) {
    WeightPlace place = places_.at(node.name + "." + parameter);
    if (out_.value(node.inputs.front()).ours) place.inputs = {{1, place.shape.c}};
    const auto found = network_.weights.find(place.name);
    CHECK(found != network_.weights.end(), place.name);
    if (dims.empty()) dims = dims_in(WeightOrder::kPytorch, place);
    return out_.floats(node.name + "." + (parameter == "running_variance" ? "running_var" : parameter), std::move(dims),
                       to_order(WeightOrder::kPytorch, place, found->second));
  }

  // The parameter, or where the layer has none, as many equal numbers.
  std::string weight_or(const Node& node, const std::string& parameter, float otherwise) {
    if (has(node, parameter)) return weight(node, parameter);
    const int64_t channels = input(node).c;
    return out_.floats(node.name + "." + parameter, {channels},
                       std::vector<float>(static_cast<size_t>(channels), otherwise));
  }

  static Attributes window_attributes(const Window& window, Integers pads) {
    return {onnx_integers_attribute("kernel_shape", {window.kernel_h, window.kernel_w}),
            onnx_integers_attribute("strides", {window.stride_h, window.stride_w}),
            onnx_integers_attribute("pads", std::move(pads))};
  }
  static Integers pads(const WindowAxes& axes) { return {axes.h.low, axes.w.low, axes.h.high, axes.w.high}; }

  // How far the last window reaches behind the padding: that of rounding up (ceil), which runtimes do not agree on.
  static int behind(const WindowAxis& axis) {
    const int reach = (axis.kernel - 1) * axis.dilation + 1;
    return std::max(0, (axis.output - 1) * axis.stride + reach - (axis.low + axis.input + axis.high));
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
    Attributes attributes = window_attributes(options.window, pads(window_axes(options.window, input(node))));
    attributes.push_back(onnx_integers_attribute("dilations", {options.window.dilation_h, options.window.dilation_w}));
    attributes.push_back(onnx_integer("group", options.groups));
    return out_.node(node.name, "Conv", std::move(inputs), std::move(attributes));
  }

  std::string conv_transpose(const Node& node) {
    const auto& layer = static_cast<const ConvTranspose&>(*node.layer);
    const ConvTransposeOptions& options = layer.options();
    const Shape &from = input(node), &to = graph_.shape(node.output);
    const auto [h, w] = layer.axes(from);
    // What the sizes leave for output_padding, whichever way the padding was written.
    const auto more = [](const WindowAxis& axis, int in, int out) {
      return out - ((in - 1) * axis.stride + axis.kernel - axis.low - axis.high);
    };
    std::vector<std::string> inputs = {image(node), weight(node, "weight")};
    if (options.bias) inputs.push_back(weight(node, "bias"));
    Attributes attributes = window_attributes(options.window, {h.low, w.low, h.high, w.high});
    attributes.push_back(onnx_integers_attribute("output_padding", {more(h, from.h, to.h), more(w, from.w, to.w)}));
    return out_.node(node.name, "ConvTranspose", std::move(inputs), std::move(attributes));
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
    const auto [h, w] = window_axes(window, input(node));
    return out_.node(node.name, "MaxPool", {image(node)},
                     window_attributes(window, {h.low, w.low, h.high + behind(h), w.high + behind(w)}));
  }

  std::string average_pool(const Node& node) {
    const auto& layer = static_cast<const AveragePool&>(*node.layer);
    const auto [h, w] = window_axes(layer.window(), input(node));
    std::string from = image(node);
    Integers around = {h.low, w.low, h.high + behind(h), w.high + behind(w)};
    bool include = layer.include_padding();
    if (include && (behind(h) > 0 || behind(w) > 0)) {  // the padding counts, what is behind it does not
      from = out_.node(node.name + ".pad", "Pad",
                       {from, out_.integers(node.name + ".pads", {0, 0, h.low, w.low, 0, 0, h.high, w.high})});
      around = {0, 0, behind(h), behind(w)};
      include = false;
    }
    Attributes attributes = window_attributes(layer.window(), around);
    attributes.push_back(onnx_integer("count_include_pad", include ? 1 : 0));
    return out_.node(node.name, "AveragePool", {from}, std::move(attributes));
  }

  std::string pad(const Node& node) {
    const PadOptions& options = static_cast<const Pad&>(*node.layer).options();
    return out_.node(
        node.name, "Pad",
        {image(node),
         out_.integers(node.name + ".pads", {0, 0, options.top, options.left, 0, 0, options.bottom, options.right}),
         out_.scalar(node.name + ".value", options.value)});
  }

  // Over the channels of each pixel, which must come last.
  std::string layer_norm(const Node& node) {
    out_.need_opset(17);
    const bool flat = out_.value(node.inputs[0]).flat;
    std::string from = x(node);
    if (!flat)
      from = out_.node(node.name + ".last", "Transpose", {from}, {onnx_integers_attribute("perm", {0, 2, 3, 1})});
    const std::string y = out_.node(
        node.name, "LayerNormalization", {from, weight(node, "weight"), weight(node, "bias")},
        {onnx_integer("axis", -1), onnx_number("epsilon", static_cast<const LayerNorm&>(*node.layer).epsilon())});
    if (flat) return y;
    return out_.node(node.name + ".first", "Transpose", {y}, {onnx_integers_attribute("perm", {0, 3, 1, 2})});
  }

  // As PyTorch: each group is one channel of a longer image, normalised for itself.
  std::string group_norm(const Node& node) {
    const GroupNormOptions& options = static_cast<const GroupNorm&>(*node.layer).options();
    const Shape& shape = input(node);
    const std::string& name = node.name;
    const std::vector<float> ones(static_cast<size_t>(options.groups), 1.0F), zeros(ones.size(), 0.0F);
    std::string y = out_.node(name + ".groups", "Reshape",
                              {image(node), out_.integers(name + ".to_groups", {0, options.groups, -1})});
    y = out_.node(
        name + ".normalised", "InstanceNormalization",
        {y, out_.floats(name + ".ones", {options.groups}, ones), out_.floats(name + ".zeros", {options.groups}, zeros)},
        {onnx_number("epsilon", options.epsilon)});
    y = out_.node(name + ".channels", "Reshape",
                  {y, out_.integers(name + ".to_channels", {0, shape.c, shape.h, shape.w})});
    y = out_.node(name + ".scaled", "Mul", {y, weight(node, "weight", {shape.c, 1, 1})});
    return out_.node(name, "Add", {y, weight(node, "bias", {shape.c, 1, 1})});
  }

  // Rows and columns alike: y = A · x · Bᵀ, where each row of A averages the rows that one output covers.
  std::string adaptive_average_pool(const Node& node) {
    const Shape &from = input(node), &to = graph_.shape(node.output);
    if (to.h == 1 && to.w == 1) return global_average(node);
    const auto averages = [&](const std::string& part, int64_t in, int64_t out, bool transposed) {
      std::vector<float> matrix(static_cast<size_t>(in * out), 0.0F);
      for (int64_t o = 0; o < out; ++o) {
        const int64_t begin = o * in / out, end = ((o + 1) * in + out - 1) / out;
        for (int64_t i = begin; i < end; ++i)
          matrix[static_cast<size_t>(transposed ? i * out + o : o * in + i)] = 1 / static_cast<float>(end - begin);
      }
      return out_.floats(node.name + part, transposed ? Integers{in, out} : Integers{out, in}, std::move(matrix));
    };
    const std::string columns = averages(".columns", from.w, to.w, true), rows = averages(".rows", from.h, to.h, false);
    const std::string narrow = out_.node(node.name + ".narrow", "MatMul", {image(node), columns});
    return out_.node(node.name, "MatMul", {rows, narrow});
  }

  std::string upsample(const Node& node) {
    const UpsampleOptions& options = static_cast<const Upsample&>(*node.layer).options();
    const std::vector<float> scales = {1, 1, static_cast<float>(options.scale_h), static_cast<float>(options.scale_w)};
    Attributes attributes = {
        onnx_text("mode", options.bilinear ? "linear" : "nearest"),
        onnx_text("coordinate_transformation_mode", options.bilinear ? "half_pixel" : "asymmetric")};
    if (!options.bilinear) attributes.push_back(onnx_text("nearest_mode", "floor"));
    return out_.node(node.name, "Resize", {image(node), "", out_.floats(node.name + ".scales", {4}, scales)},
                     std::move(attributes));
  }

  std::string lrn(const Node& node) {
    const LrnOptions& options = static_cast<const Lrn&>(*node.layer).options();
    if (options.size % 2 == 0)
      throw Error(ExitCode::kConfig, node.where + ": layer '" + node.name +
                                         "' (lrn) cannot be written as ONNX: its size is even, and there the other "
                                         "neighbour counts");
    return out_.node(node.name, "LRN", {image(node)},
                     {onnx_integer("size", options.size), onnx_number("alpha", options.alpha),
                      onnx_number("beta", options.beta), onnx_number("bias", options.k)});
  }

  std::string global_max(const Node& node) { return out_.node(node.name, "GlobalMaxPool", {image(node)}); }
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
    if (before.flat) return before.name;
    output.flat = true;
    std::string from = before.name;
    const Shape& shape = input(node);
    if ((shape.h > 1 || shape.w > 1) && shape.c > 1 && (before.ours || !order_is_free(node.output))) {
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

  std::string multiply(const Node& node) { return fold(node, "Mul", of_one_rank(node)); }
  std::string softmax(const Node& node) { return unary(node, "Softmax", {onnx_integer("axis", 1)}); }
  std::string concat(const Node& node) {
    return out_.node(node.name, "Concat", of_one_rank(node), {onnx_integer("axis", 1)});
  }

  std::string relu(const Node& node) { return unary(node, "Relu"); }
  std::string sigmoid(const Node& node) { return unary(node, "Sigmoid"); }
  std::string tanh(const Node& node) { return unary(node, "Tanh"); }
  std::string hard_sigmoid(const Node& node) {
    return unary(node, "HardSigmoid", {onnx_number("alpha", 1.0 / 6), onnx_number("beta", 0.5)});
  }
  std::string hard_swish(const Node& node) {
    out_.need_opset(14);
    return unary(node, "HardSwish");
  }
  std::string silu(const Node& node) {
    return out_.node(node.name, "Mul", {x(node), out_.node(node.name + ".sigmoid", "Sigmoid", {x(node)})});
  }
  std::string relu6(const Node& node) {
    return out_.node(node.name, "Clip",
                     {x(node), out_.scalar(node.name + ".low", 0), out_.scalar(node.name + ".high", 6)});
  }
  std::string leaky_relu(const Node& node) {
    return unary(node, "LeakyRelu", {onnx_number("alpha", function<LeakyReluFunction>(node).negative)});
  }
  std::string elu(const Node& node) {
    return unary(node, "Elu", {onnx_number("alpha", function<EluFunction>(node).alpha)});
  }
  template <class F>
  static const F& function(const Node& node) {
    return std::get<F>(static_cast<const Activation&>(*node.layer).function());
  }

  // x · (1 + erf(x / √2)) / 2, or with tanh(√(2/π) · (x + 0.044715 x³)) in the place of erf.
  std::string gelu(const Node& node) {
    const std::string &name = node.name, from = x(node);
    const auto scaled = [&](const std::string& part, const std::string& value, double factor) {
      return out_.node(name + part, "Mul", {value, out_.scalar(name + part + ".factor", factor)});
    };
    std::string y;
    if (std::holds_alternative<GeluFunction>(static_cast<const Activation&>(*node.layer).function())) {
      y = out_.node(name + ".scaled", "Div", {from, out_.scalar(name + ".root", std::sqrt(2.0))});
      y = out_.node(name + ".erf", "Erf", {y});
    } else {
      y = out_.node(name + ".square", "Mul", {from, from});
      y = scaled(".cubic", out_.node(name + ".cube", "Mul", {y, from}), 0.044715);
      y = scaled(".scaled", out_.node(name + ".sum", "Add", {from, y}), std::sqrt(2 / std::numbers::pi));
      y = out_.node(name + ".tanh", "Tanh", {y});
    }
    y = out_.node(name + ".plus", "Add", {y, out_.scalar(name + ".one", 1)});
    y = out_.node(name + ".product", "Mul", {from, y});
    return out_.node(name, "Mul", {y, out_.scalar(name + ".half", 0.5)});
  }
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
    {"adaptive_average_pool", &Exporter::adaptive_average_pool},
    {"add", &Exporter::add},
    {"average_pool", &Exporter::average_pool},
    {"batch_norm", &Exporter::batch_norm},
    {"concat", &Exporter::concat},
    {"conv2d", &Exporter::conv2d},
    {"conv_transpose", &Exporter::conv_transpose},
    {"dropout", &Exporter::nothing},
    {"elu", &Exporter::elu},
    {"flatten", &Exporter::flatten},
    {"gelu", &Exporter::gelu},
    {"global_average", &Exporter::global_average},
    {"global_max", &Exporter::global_max},
    {"group_norm", &Exporter::group_norm},
    {"hard_sigmoid", &Exporter::hard_sigmoid},
    {"hard_swish", &Exporter::hard_swish},
    {"layer_norm", &Exporter::layer_norm},
    {"leaky_relu", &Exporter::leaky_relu},
    {"linear", &Exporter::linear},
    {"lrn", &Exporter::lrn},
    {"max_pool", &Exporter::max_pool},
    {"multiply", &Exporter::multiply},
    {"pad", &Exporter::pad},
    {"relu", &Exporter::relu},
    {"relu6", &Exporter::relu6},
    {"sigmoid", &Exporter::sigmoid},
    {"silu", &Exporter::silu},
    {"softmax", &Exporter::softmax},
    {"stochastic_depth", &Exporter::nothing},
    {"tanh", &Exporter::tanh},
    {"upsample", &Exporter::upsample},
};

}  // namespace

OnnxModel to_onnx(const Network& network, const ExportOptions& options) {
  if (!options.fold_batch_norm) return Exporter(network, options).run();
  Network folded;
  folded.config = network.config;
  folded.sample = network.sample;
  folded.model =
      build_model(network.config, {}, network.sample, {.training = false, .normalize = false, .rewrite = false});
  folded.weights = network.weights;
  folded.preprocessing = network.preprocessing;
  folded.class_names = network.class_names;
  fold_batch_norm(folded);
  return Exporter(folded, options).run();
}

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
