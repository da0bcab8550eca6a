#include "launcher/model_builder.h"

#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/device/target.h"
#include "launcher/layer_builder.h"
#include "launcher/transfer.h"
#include "layers/class_losses.h"
#include "layers/normalize.h"
#include "layers/rewrite.h"
#include "layers/softmax_cross_entropy.h"

namespace convoy {
namespace {

ValueId normalized(Graph& graph, const DataConfig& data, ValueId image) {
  const auto floats = [](const std::vector<double>& values) {
    return std::vector<float>(values.begin(), values.end());
  };
  return graph.add(
      kNormalizeLayer,
      std::make_unique<Normalize>(floats(data.mean), floats(data.std), data.channel_order == ChannelOrder::kBgr),
      {image}, data.where.text() + ": data");
}

// The layers after those of a base that `until` cuts off are in the graph, too.
void expect_logits(const ModelConfig& model, const Graph& graph, ValueId logits) {
  const Shape found = graph.shape(logits), expected{found.n, 1, 1, model.classes};
  if (found == expected) return;
  const bool flat = found.h == 1 && found.w == 1;
  const auto last = std::ranges::find_if(graph.nodes(), [&](const auto& node) { return node.output == logits; });
  const bool any = last != graph.nodes().end();
  throw Error(ExitCode::kConfig, (any ? last->where : model.where.text() + ": model") + ": the network must end in " +
                                     to_string(expected) + ", one number for each class, and ends in " +
                                     to_string(found) + (any ? ", the output of '" + last->name + "'" : "") + "; add " +
                                     (flat ? "" : "`- flatten` and ") + "`- linear: {units: classes}`");
}

// A layer that nothing reads is a slip of the pen: it would cost time and get no gradient.
void expect_readers(const Graph& graph, ValueId logits) {
  std::vector<bool> read(static_cast<size_t>(graph.values()), false);
  read[static_cast<size_t>(logits.index)] = true;
  for (const Graph::Node& node : graph.nodes()) {
    for (ValueId input : node.inputs) read[static_cast<size_t>(input.index)] = true;
  }
  for (const Graph::Node& node : graph.nodes()) {
    if (read[static_cast<size_t>(node.output.index)]) continue;
    throw Error(ExitCode::kConfig, node.where + ": nothing reads the output of '" + node.name + "'");
  }
}

std::unique_ptr<Layer> make_loss(const LossConfig& loss) {
  if (loss.teacher) {
    return std::make_unique<Distillation>(loss.teacher->weight, loss.teacher->temperature, loss.label_smoothing);
  }
  switch (loss.type) {
    case LossType::kSoftmaxCrossEntropy: return std::make_unique<SoftmaxCrossEntropy>(loss.label_smoothing);
    case LossType::kBinaryCrossEntropy: return std::make_unique<BinaryCrossEntropy>(loss.label_smoothing);
    case LossType::kMeanSquaredError: return std::make_unique<MeanSquaredError>();
  }
  throw InternalError("no such loss");
}

void add_loss(const LossConfig& loss, Model& model) {
  Graph& graph = model.graph;
  const Shape logits = graph.shape(model.logits);
  std::vector<ValueId> inputs = {model.logits, graph.input("target", targets_shape(logits.n), Dtype::kI32)};
  if (!loss.class_weights.empty()) {
    model.class_weights.assign(loss.class_weights.begin(), loss.class_weights.end());
    inputs.push_back(graph.input("class_weights", {1, 1, 1, logits.c}, Dtype::kF32));
  }
  if (loss.teacher) inputs.push_back(graph.input("teacher", logits, Dtype::kF32));
  std::unique_ptr<Layer> layer = make_loss(loss);
  const std::string name = layer->type();
  graph.add(name, std::move(layer), std::move(inputs), loss.where.text() + ": loss");
}

}  // namespace

Model build_model(const ModelConfig& model, const DataConfig& data, const Shape& sample, const BuildOptions& options) {
  const int rows = options.rows;
  CHECK(sample.n == 1 && rows >= 1 && (model.base || !model.layers.empty()));
  Graph graph;
  const Shape images{rows, sample.h, sample.w, sample.c};
  ValueId x = graph.input("image", images, options.normalize ? Dtype::kU8 : Dtype::kF32);
  if (options.normalize) x = normalized(graph, data, x);
  LayerBuilder builder(graph, x, model.zero_init_residual);
  std::set<std::string> base_layers;
  if (model.base) {
    const size_t first = graph.nodes().size();
    const ValueId end = builder.append(model.base->layers, x);
    if (model.base->include_top) builder.append(model.base->top, end);
    x = apply_base(graph, first, *model.base);
    for (size_t i = first; i < graph.nodes().size(); ++i) base_layers.insert(graph.nodes()[i].name);
  }
  const ValueId logits = builder.append(model.top, builder.append(model.layers, x));
  expect_logits(model, graph, logits);
  expect_readers(graph, logits);
  Model result{std::move(graph), logits, {}, std::move(base_layers)};
  if (options.training) add_loss(options.loss, result);
  if (options.rewrite) rewrite(result.graph, logits);
  return result;
}

}  // namespace convoy
