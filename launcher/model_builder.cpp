#include "launcher/model_builder.h"

#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/device/target.h"
#include "launcher/layer_builder.h"
#include "layers/normalize.h"
#include "layers/rewrite.h"
#include "layers/softmax_cross_entropy.h"

namespace convoy {
namespace {

ValueId normalized(Graph& graph, const DataConfig& data, ValueId image) {
  const auto floats = [](const std::vector<double>& values) {
    return std::vector<float>(values.begin(), values.end());
  };
  return graph.add(kNormalizeLayer, std::make_unique<Normalize>(floats(data.mean), floats(data.std)), {image},
                   data.where.text() + ": data");
}

void expect_logits(const ModelConfig& model, const Shape& found) {
  const Shape expected{found.n, 1, 1, model.classes};
  if (found == expected) return;
  const bool flat = found.h == 1 && found.w == 1;
  const LayerConfig& last = model.top.empty() ? model.layers.back() : model.top.back();
  config_error(last.where, last.path,
               "the network must end in " + to_string(expected) + ", one number for each class, and ends in " +
                   to_string(found) + "; add " + (flat ? "" : "`- flatten` and ") + "`- linear: {units: classes}`");
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

}  // namespace

Model build_model(const ModelConfig& model, const DataConfig& data, const Shape& sample, const BuildOptions& options) {
  const int rows = options.rows;
  CHECK(sample.n == 1 && rows >= 1 && !model.layers.empty());
  Graph graph;
  const Shape images{rows, sample.h, sample.w, sample.c};
  ValueId x = graph.input("image", images, options.normalize ? Dtype::kU8 : Dtype::kF32);
  if (options.normalize) x = normalized(graph, data, x);
  LayerBuilder builder(graph, x);
  const ValueId logits = builder.append(model.top, builder.append(model.layers, x));
  expect_logits(model, graph.shape(logits));
  expect_readers(graph, logits);
  if (options.training) {
    const ValueId target = graph.input("target", targets_shape(rows), Dtype::kI32);
    graph.add(kLossLayer, std::make_unique<SoftmaxCrossEntropy>(), {logits, target});
  }
  if (options.rewrite) rewrite(graph, logits);
  return {std::move(graph), logits};
}

}  // namespace convoy
