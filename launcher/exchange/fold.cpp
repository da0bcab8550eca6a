#include "launcher/exchange/fold.h"

#include <cmath>
#include <memory>
#include <utility>

#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/linear.h"

namespace convoy {
namespace {

using Weights = std::map<std::string, std::vector<float>>;

const Graph::Node& node(const Graph& graph, int index) { return graph.nodes()[static_cast<size_t>(index)]; }

template <class T>
const T* layer_as(const Graph& graph, int index) {
  return index < 0 ? nullptr : dynamic_cast<const T*>(node(graph, index).layer.get());
}

// Removes it from `weights`; without an entry each of `count` elements is `otherwise`.
std::vector<float> take(Weights& weights, const std::string& name, size_t count, float otherwise) {
  const auto found = weights.find(name);
  if (found == weights.end()) return std::vector<float>(count, otherwise);
  std::vector<float> values = std::move(found->second);
  weights.erase(found);
  CHECK(values.size() == count, name);
  return values;
}

// `weight` is [O, …], of the layer called `layer`.
void scale_weights(Weights& weights, const std::string& layer, const std::string& norm, size_t channels,
                   float epsilon) {
  const std::vector<float> gamma = take(weights, norm + ".weight", channels, 1),
                           beta = take(weights, norm + ".bias", channels, 0),
                           mean = take(weights, norm + ".running_mean", channels, 0),
                           variance = take(weights, norm + ".running_variance", channels, 1);
  std::vector<float> bias = take(weights, layer + ".bias", channels, 0);
  std::vector<float>& weight = weights.at(layer + ".weight");
  const size_t each = weight.size() / channels;
  for (size_t o = 0; o < channels; ++o) {
    const double scale = double{gamma[o]} / std::sqrt(double{variance[o]} + double{epsilon});
    for (size_t i = o * each; i < (o + 1) * each; ++i) weight[i] = static_cast<float>(scale * double{weight[i]});
    bias[o] = static_cast<float>(scale * (double{bias[o]} - double{mean[o]}) + double{beta[o]});
  }
  weights[layer + ".bias"] = std::move(bias);
}

// Layers that have the options `bias` and `relu`.
template <class T>
int fold_into(Graph& graph, Weights& weights, ValueId keep) {
  int count = 0;
  for (int i = 0; i < static_cast<int>(graph.nodes().size()); ++i) {
    const T* layer = layer_as<T>(graph, i);
    const ValueId output = node(graph, i).output;
    if (layer == nullptr || layer->options().relu || output == keep) continue;
    const int next = graph.only_reader(output);
    const auto* norm = layer_as<BatchNorm>(graph, next);
    if (norm == nullptr || norm->options().relu || norm->options().add) continue;
    scale_weights(weights, node(graph, i).name, node(graph, next).name, static_cast<size_t>(graph.shape(output).c),
                  norm->options().epsilon);
    auto options = layer->options();
    options.bias = true;
    graph.fuse(i, next, std::make_unique<T>(options), node(graph, i).inputs);
    ++count;
    --i;  // node i is the one that followed
  }
  return count;
}

}  // namespace

int fold_batch_norm(Graph& graph, Weights& weights, ValueId keep) {
  return fold_into<Conv2d>(graph, weights, keep) + fold_into<Linear>(graph, weights, keep);
}

int fold_batch_norm(Network& network) {
  return fold_batch_norm(network.model.graph, network.weights, network.model.logits);
}

}  // namespace convoy
