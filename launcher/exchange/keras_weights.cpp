#include "launcher/exchange/keras_weights.h"

#include <algorithm>
#include <optional>
#include <set>

#include "core/base/error.h"
#include "launcher/exchange/keras_json.h"

namespace convoy {
namespace {

// ---- Roles

// Ours for Keras'; of a separable convolution, which is two layers of ours.
std::string our_role(const std::string& role, bool separable) {
  static const std::map<std::string, std::string> kOurs = {
      {"beta", "bias"},
      {"bias", "bias"},
      {"depthwise_kernel", "weight"},
      {"gamma", "weight"},
      {"kernel", "weight"},
      {"moving_mean", "running_mean"},
      {"moving_variance", "running_variance"},
      {"pointwise_kernel", "weight"},
  };
  const auto found = kOurs.find(role);
  if (found == kOurs.end()) return "";
  if (!separable) return found->second;
  return (role == "depthwise_kernel" ? "depthwise." : "pointwise.") + found->second;
}

// In the order in which Keras makes them.
std::vector<std::string> roles_of(const KerasNode& node, const std::string& where) {
  const KerasFields fields(*node.config, where + ": layer '" + node.own_name + "' (" + node.class_name + ")");
  const auto with = [&](std::vector<std::string> roles, const char* key, const char* role) {
    if (fields.boolean_or(key, true)) roles.emplace_back(role);
    return roles;
  };
  const std::string& type = node.class_name;
  if (type == "Conv2D" || type == "Conv2DTranspose" || type == "Dense" || type == "DepthwiseConv2D") {
    return with({"kernel"}, "use_bias", "bias");
  }
  if (type == "SeparableConv2D") return with({"depthwise_kernel", "pointwise_kernel"}, "use_bias", "bias");
  if (type == "LayerNormalization" || type == "GroupNormalization" || type == "BatchNormalization") {
    std::vector<std::string> roles = with(with({}, "scale", "gamma"), "center", "beta");
    if (type == "BatchNormalization") roles.insert(roles.end(), {"moving_mean", "moving_variance"});
    return roles;
  }
  if (type == "Normalization" && !fields.has("mean")) return {"mean", "variance", "count"};
  return {};
}

bool is_statistic(const std::string& role) {
  return role.starts_with("moving_") || role == "mean" || role == "variance" || role == "count";
}

// ---- Names in the old formats

// "W_1" → "W".
std::string without_number(const std::string& name) {
  const size_t end = name.find_last_not_of("0123456789");
  return end == std::string::npos || end + 1 == name.size() || name[end] != '_' ? name : name.substr(0, end);
}

struct WeightName {
  std::string owner;  // the layer's own name; "" where it is not said
  std::string role;   // "" where it says nothing
};

WeightName parse_weight_name(std::string name) {
  static const std::set<std::string> kRoles = {"beta",    "bias", "count",       "depthwise_kernel", "gamma",
                                               "kernel",  "mean", "moving_mean", "moving_variance",  "pointwise_kernel",
                                               "variance"};
  static const std::pair<std::string_view, std::string_view> kEndings[] = {
      {"_W", "kernel"},
      {"_b", "bias"},
      {"_beta", "beta"},
      {"_depthwise_kernel", "depthwise_kernel"},
      {"_gamma", "gamma"},
      {"_pointwise_kernel", "pointwise_kernel"},
      {"_running_mean", "moving_mean"},
      {"_running_std", "moving_variance"},  // Keras 1 called it so; it is the variance
  };
  name = name.substr(0, name.rfind(':'));
  const size_t slash = name.rfind('/');
  const std::string last = without_number(slash == std::string::npos ? name : name.substr(slash + 1));
  if (kRoles.contains(last)) {
    const std::string before = slash == std::string::npos ? "" : name.substr(0, slash);
    return {before.substr(before.rfind('/') + 1), last};
  }
  for (const auto& [ending, role] : kEndings) {
    if (last.ends_with(ending)) return {last.substr(0, last.size() - ending.size()), std::string(role)};
  }
  return {};
}

// Keras 2 has a depthwise_kernel where Keras 3 has a kernel.
bool same_role(const std::string& slot, const std::string& name) {
  return slot == name || (slot == "kernel" && name == "depthwise_kernel");
}

// ---- Matching

using Pairs = std::vector<std::pair<const KerasSlot*, const HostTensor*>>;

class Matcher {
 public:
  Matcher(const KerasFile& file, const KerasGraph& graph) : file_(file), graph_(graph) {}

  // The weights of a layer of an old format, which may be a whole model.
  Pairs legacy(const KerasLayer& layer, const std::vector<const KerasSlot*>& slots) const {
    const auto one = [&](const KerasSlot* slot) { return slot->node == slots.front()->node; };
    const bool nested = !std::ranges::all_of(slots, one);
    if (const auto pairs = by_name(layer, slots, nested)) return *pairs;
    std::vector<const KerasSlot*> ordered = slots;
    if (nested) std::ranges::stable_partition(ordered, [](const KerasSlot* slot) { return slot->trainable; });
    return by_order(layer, ordered);
  }

  Pairs by_order(const KerasLayer& layer, const std::vector<const KerasSlot*>& slots) const {
    if (layer.weights.size() != slots.size()) {
      bad_data(file_.path, "layer '" + (layer.name.empty() ? layer.path : layer.name) + "' has " +
                               std::to_string(layer.weights.size()) + " weights, and its configuration says " +
                               std::to_string(slots.size()));
    }
    Pairs pairs;
    for (size_t i = 0; i < slots.size(); ++i) {
      const std::string role = parse_weight_name(layer.weights[i].name).role;
      if (!role.empty() && !same_role(slots[i]->role, role)) {
        bad_data(file_.path, "layer '" + layer.name + "': '" + layer.weights[i].name + "' stands where the " +
                                 slots[i]->role + " of '" + node(*slots[i]).own_name + "' should");
      }
      pairs.emplace_back(slots[i], &layer.weights[i]);
    }
    return pairs;
  }

 private:
  const KerasNode& node(const KerasSlot& slot) const { return graph_.nodes[static_cast<size_t>(slot.node)]; }

  // Nothing where a name says too little.
  std::optional<Pairs> by_name(const KerasLayer& layer, const std::vector<const KerasSlot*>& slots, bool nested) const {
    Pairs pairs;
    std::set<const KerasSlot*> used;
    for (const HostTensor& weight : layer.weights) {
      const WeightName name = parse_weight_name(weight.name);
      const auto fits = [&](const KerasSlot* slot) {
        return same_role(slot->role, name.role) && (!nested || node(*slot).own_name == name.owner);
      };
      const auto found = std::ranges::find_if(slots, fits);
      if (found == slots.end() || std::count_if(slots.begin(), slots.end(), fits) > 1) return std::nullopt;
      if (!used.insert(*found).second) return std::nullopt;
      pairs.emplace_back(*found, &weight);
    }
    return pairs;
  }

  const KerasFile& file_;
  const KerasGraph& graph_;
};

bool is_legacy(const KerasFile& file) {
  return file.format == KerasFormat::kLegacyModel || file.format == KerasFormat::kLegacyWeights;
}

std::string original_name(const KerasFile& file, const KerasLayer& layer, const HostTensor& weight) {
  return is_legacy(file) ? layer.name + "/" + weight.name : layer.path + "/vars/" + weight.name;
}

// Slots by what a layer of the file is: a layer of the outermost model, or one layer by its classes.
std::map<std::string, std::vector<const KerasSlot*>> by_layer(const KerasFile& file, const KerasGraph& graph,
                                                              const std::vector<KerasSlot>& slots) {
  std::map<std::string, std::vector<const KerasSlot*>> layers;
  for (const KerasSlot& slot : slots) {
    const KerasNode& node = graph.nodes[static_cast<size_t>(slot.node)];
    layers[is_legacy(file) ? node.top : node.path].push_back(&slot);
  }
  return layers;
}

}  // namespace

std::vector<KerasSlot> keras_slots(const KerasGraph& graph, const std::string& where) {
  std::vector<KerasSlot> slots;
  std::set<std::string> seen;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const KerasNode& node = graph.nodes[i];
    const std::vector<std::string> roles = roles_of(node, where);
    if (!roles.empty() && !seen.insert(node.path).second) {
      throw Error(ExitCode::kConfig,
                  where + ": layer '" + node.own_name + "' is called twice; Convoy's layers share no weights");
    }
    for (const std::string& role : roles) {
      const std::string ours = our_role(role, node.class_name == "SeparableConv2D");
      slots.push_back({static_cast<int>(i), role, ours.empty() ? "" : node.name + "." + ours,
                       node.trainable && !is_statistic(role)});
    }
  }
  return slots;
}

KerasWeights match_keras_weights(const KerasFile& file, const KerasGraph& graph, const std::vector<KerasSlot>& slots) {
  const auto layers = by_layer(file, graph, slots);
  const Matcher matcher(file, graph);
  KerasWeights out;
  std::map<const KerasSlot*, ForeignTensor> matched;
  std::vector<ForeignTensor> rest;
  for (const KerasLayer& layer : file.layers) {
    if (layer.weights.empty()) continue;
    const auto found = layers.find(is_legacy(file) ? layer.name : layer.path);
    if (found == layers.end()) {
      for (const HostTensor& weight : layer.weights) {
        const std::string name = original_name(file, layer, weight);
        rest.push_back({name, name, weight});
      }
      continue;
    }
    const Pairs pairs = is_legacy(file) ? matcher.legacy(layer, found->second) : matcher.by_order(layer, found->second);
    for (const auto& [slot, weight] : pairs) {
      out.by_role[{slot->node, slot->role}] = weight;
      if (!slot->name.empty()) matched[slot] = {slot->name, original_name(file, layer, *weight), *weight};
    }
  }
  for (const KerasSlot& slot : slots) {
    if (const auto found = matched.find(&slot); found != matched.end()) out.tensors.push_back(std::move(found->second));
  }
  std::ranges::move(rest, std::back_inserter(out.tensors));
  return out;
}

// ---- Weights only

namespace {

// Of the last class in a path: "functional/batch_normalization_3" with four weights.
std::vector<std::string> roles_of_class(const std::string& path, size_t weights) {
  const std::string type = without_number(path.substr(path.rfind('/') + 1));
  static const std::map<std::string, std::vector<std::string>> kRoles = {
      {"batch_normalization", {"gamma", "beta", "moving_mean", "moving_variance"}},
      {"conv2d", {"kernel", "bias"}},
      {"conv2d_transpose", {"kernel", "bias"}},
      {"dense", {"kernel", "bias"}},
      {"depthwise_conv2d", {"kernel", "bias"}},
      {"group_normalization", {"gamma", "beta"}},
      {"layer_normalization", {"gamma", "beta"}},
      {"separable_conv2d", {"depthwise_kernel", "pointwise_kernel", "bias"}},
  };
  const auto found = kRoles.find(type);
  if (found == kRoles.end()) return {};
  // Whether gamma or beta is missing cannot be seen; without both, it can.
  if (type.ends_with("_normalization") && weights + 1 == found->second.size()) return {};
  if (type == "batch_normalization" && weights == 2) return {"moving_mean", "moving_variance"};
  const bool whole = weights == found->second.size();
  const bool no_bias = found->second.back() == "bias" && weights + 1 == found->second.size();
  return whole || no_bias ? found->second : std::vector<std::string>{};
}

// The format of Keras 3 keeps no order between layers of two classes.
std::string our_type(const std::string& path) {
  static const std::map<std::string, std::string> kTypes = {
      {"batch_normalization", "batch_norm"},  {"conv2d", "conv2d"},
      {"conv2d_transpose", "conv_transpose"}, {"dense", "linear"},
      {"depthwise_conv2d", "depthwise"},      {"group_normalization", "group_norm"},
      {"layer_normalization", "layer_norm"},
  };
  const std::string type = without_number(path.substr(path.rfind('/') + 1));
  const auto found = kTypes.find(type);
  return found == kTypes.end() ? type : found->second;
}

}  // namespace

std::vector<ForeignTensor> name_keras_weights(const KerasFile& file) {
  std::vector<ForeignTensor> tensors;
  for (const KerasLayer& layer : file.layers) {
    const std::vector<std::string> roles = roles_of_class(layer.path, layer.weights.size());
    std::vector<WeightName> names;
    std::set<std::string> owners;
    for (size_t i = 0; i < layer.weights.size(); ++i) {
      WeightName name = parse_weight_name(layer.weights[i].name);
      if (!is_legacy(file)) name = {"", i < roles.size() ? roles[i] : ""};
      owners.insert(name.owner);
      names.push_back(name);
    }
    std::string own = layer.name.empty() ? layer.path : layer.name;
    std::ranges::replace(own, '/', '.');
    const auto has = [&](const char* role) { return std::ranges::find(names, role, &WeightName::role) != names.end(); };
    const bool separable = has("pointwise_kernel");
    std::vector<ForeignTensor> of_layer;
    for (size_t i = 0; i < layer.weights.size(); ++i) {
      const std::string original = original_name(file, layer, layer.weights[i]);
      const std::string role = our_role(names[i].role, separable);
      const std::string owner = owners.size() > 1 ? own + "." + names[i].owner : own;
      const bool legacy = is_legacy(file);
      const std::string name =
          legacy && role.empty() ? original : owner + "." + (role.empty() ? layer.weights[i].name : role);
      of_layer.push_back({name, original, layer.weights[i], {}, legacy ? "" : our_type(layer.path)});
    }
    // A nested model has the statistics of all its layers at the end: each goes to its layer.
    std::map<std::string, size_t> first;
    const auto owner_of = [](const ForeignTensor& tensor) { return tensor.name.substr(0, tensor.name.rfind('.')); };
    for (size_t i = 0; i < of_layer.size(); ++i) first.emplace(owner_of(of_layer[i]), i);
    std::ranges::stable_sort(of_layer, {}, [&](const ForeignTensor& tensor) { return first.at(owner_of(tensor)); });
    std::ranges::move(of_layer, std::back_inserter(tensors));
  }
  return tensors;
}

}  // namespace convoy
