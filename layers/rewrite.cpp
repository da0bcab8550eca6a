#include "layers/rewrite.h"

#include "layers/add.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/relu.h"

namespace convoy {
namespace {

const Graph::Node& node(const Graph& graph, int index) { return graph.nodes()[static_cast<size_t>(index)]; }

// The layer of a node when it is a T, else nullptr.
template <class T>
const T* layer_as(const Graph& graph, int index) {
  return index < 0 ? nullptr : dynamic_cast<const T*>(node(graph, index).layer.get());
}

// The node that `index` may be merged with: the only reader of its output, unless that is kept.
int successor(const Graph& graph, int index, ValueId keep) {
  const ValueId output = node(graph, index).output;
  return output == keep ? -1 : graph.only_reader(output);
}

// A merged node runs where its second part did: parameters in between would change places with its own.
bool keeps_order(const Graph& graph, int first, int last) {
  for (int i = first + 1; i < last; ++i) {
    const std::vector<Shape> shapes = graph.input_shapes(node(graph, i));
    if (!node(graph, i).layer->parameters(shapes).empty() || !node(graph, i).layer->state(shapes).empty()) return false;
  }
  return true;
}

// Layers that have the option `relu` take over the relu that alone reads them.
template <class T>
int fuse_relu(Graph& graph, ValueId keep) {
  int count = 0;
  for (int i = 0; i < static_cast<int>(graph.nodes().size()); ++i) {
    const T* layer = layer_as<T>(graph, i);
    if (layer == nullptr || layer->options().relu) continue;
    const int relu = successor(graph, i, keep);
    if (layer_as<Relu>(graph, relu) == nullptr || !keeps_order(graph, i, relu)) continue;
    auto options = layer->options();
    options.relu = true;
    graph.fuse(i, relu, std::make_unique<T>(options), node(graph, i).inputs);
    ++count;
    --i;  // node i is the one that followed
  }
  return count;
}

}  // namespace

int fuse_conv_relu(Graph& graph, ValueId keep) { return fuse_relu<Conv2d>(graph, keep); }
int fuse_linear_relu(Graph& graph, ValueId keep) { return fuse_relu<Linear>(graph, keep); }
int fuse_batch_norm_relu(Graph& graph, ValueId keep) { return fuse_relu<BatchNorm>(graph, keep); }

int fuse_batch_norm_add_relu(Graph& graph, ValueId keep) {
  int count = 0;
  for (int i = 0; i < static_cast<int>(graph.nodes().size()); ++i) {
    const auto* layer = layer_as<BatchNorm>(graph, i);
    if (layer == nullptr || layer->options().relu || layer->options().add) continue;
    const int add = successor(graph, i, keep);
    if (layer_as<Add>(graph, add) == nullptr || node(graph, add).inputs.size() != 2) continue;
    const int relu = successor(graph, add, keep);
    if (layer_as<Relu>(graph, relu) == nullptr || !keeps_order(graph, i, relu)) continue;
    BatchNormOptions options = layer->options();
    const std::vector<ValueId>& terms = node(graph, add).inputs;
    const ValueId shortcut = terms[0] == node(graph, i).output ? terms[1] : terms[0];
    const std::vector<ValueId> inputs{node(graph, i).inputs[0], shortcut};
    options.add = true;
    graph.fuse(i, add, std::make_unique<BatchNorm>(options), inputs);
    options.relu = true;
    graph.fuse(add - 1, relu - 1, std::make_unique<BatchNorm>(options), inputs);
    ++count;
    --i;  // node i is the one that followed
  }
  return count;
}

int fuse_conv_add(Graph& graph, ValueId keep) {
  int count = 0;
  for (int i = 0; i < static_cast<int>(graph.nodes().size()); ++i) {
    const auto* layer = layer_as<Conv2d>(graph, i);
    if (layer == nullptr || layer->options().relu || layer->options().add) continue;
    const int add = successor(graph, i, keep);
    if (layer_as<Add>(graph, add) == nullptr || node(graph, add).inputs.size() != 2) continue;
    const std::vector<ValueId>& terms = node(graph, add).inputs;
    const ValueId other = terms[0] == node(graph, i).output ? terms[1] : terms[0];
    if (graph.shape(other) != graph.shape(node(graph, add).output)) continue;
    Conv2dOptions options = layer->options();
    options.add = true;
    graph.fuse(i, add, std::make_unique<Conv2d>(options), {node(graph, i).inputs[0], other});
    ++count;
    --i;  // node i is the one that followed
  }
  return count;
}

void rewrite_for_inference(Graph& graph, ValueId keep) {
  fuse_conv_add(graph, keep);
  rewrite(graph, keep);
}

void rewrite(Graph& graph, ValueId keep) {
  fuse_conv_relu(graph, keep);
  fuse_linear_relu(graph, keep);
  fuse_batch_norm_add_relu(graph, keep);
  fuse_batch_norm_relu(graph, keep);
}

}  // namespace convoy
