#include "launcher/transfer.h"

#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "launcher/config/values.h"
#include "layers/batch_norm.h"

namespace convoy {
namespace {

std::optional<int> integer(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The node that `layer` names: by name, or by number as Python counts a list.
size_t find_layer(const Graph& graph, size_t first, const BaseConfig& base, const char* key, const std::string& layer) {
  const std::string path = std::string("model.base.") + key;
  const auto count = static_cast<int>(graph.nodes().size() - first);
  std::vector<std::string_view> names;
  for (size_t i = first; i < graph.nodes().size(); ++i) {
    if (graph.nodes()[i].name == layer) return i;
    names.push_back(graph.nodes()[i].name);
  }
  const std::optional<int> number = integer(layer);
  if (!number) config_error(base.where, path, "the base has no layer '" + layer + "'" + did_you_mean(layer, names));
  if (*number < -count || *number >= count) {
    config_error(base.where, path, "the base has " + std::to_string(count) + " layers, found number " + layer);
  }
  return first + static_cast<size_t>(*number < 0 ? *number + count : *number);
}

// Its parameters get no gradient; its statistics stand still, unless they are wanted of the micro-batches.
void freeze(Graph& graph, int node, FrozenBatchNorm statistics) {
  graph.freeze(node);
  const auto* layer = dynamic_cast<const BatchNorm*>(graph.nodes()[static_cast<size_t>(node)].layer.get());
  if (layer == nullptr || statistics == FrozenBatchNorm::kTrain) return;
  BatchNormOptions options = layer->options();
  options.inference = true;
  graph.replace_layer(node, std::make_unique<BatchNorm>(options));
}

}  // namespace

ValueId apply_base(Graph& graph, size_t first, const BaseConfig& base) {
  CHECK(graph.nodes().size() > first);
  size_t last = graph.nodes().size() - 1, frozen = first;  // frozen: the first that is not
  if (base.until) last = find_layer(graph, first, base, "until", *base.until);
  if (base.freeze) frozen = last + 1;
  if (base.freeze_until) frozen = find_layer(graph, first, base, "freeze_until", *base.freeze_until) + 1;
  if (base.freeze && base.freeze_until) {
    config_error(base.where, "model.base.freeze_until", "excludes model.base.freeze; give one of the two");
  }
  if (frozen > last + 1) {
    config_error(base.where, "model.base.freeze_until", "'" + *base.freeze_until + "' comes behind model.base.until");
  }
  for (size_t i = first; i <= last; ++i) {
    const int node = static_cast<int>(i);
    graph.scale_learning_rate(node, static_cast<float>(base.learning_rate_scale));
    if (i < frozen) freeze(graph, node, base.batch_norm);
  }
  const ValueId end = graph.nodes()[last].output;
  graph.keep_only(end);
  return end;
}

}  // namespace convoy
