#include "launcher/exchange/weights.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

#include "layers/conv2d.h"

namespace convoy {
namespace {

using Kind = WeightPlace::Kind;

// ---- Places

FlattenedImages plain(int channels) { return {{1, channels}}; }
bool is_plain(const FlattenedImages& images) { return images.size() == 1 && images.front().pixels == 1; }

FlattenedImages flattened(const Shape& image, const FlattenedImages& channels) {
  const int pixels = image.h * image.w;
  if (pixels == 1) return channels;
  if (!is_plain(channels)) return {};
  return image.c == 1 ? plain(pixels) : FlattenedImages{{pixels, image.c}};
}

FlattenedImages joined(const std::vector<FlattenedImages>& parts) {
  FlattenedImages all;
  for (const FlattenedImages& part : parts) {
    if (part.empty()) return {};
    for (const FlattenedImage& image : part) {
      if (!all.empty() && all.back().pixels == 1 && image.pixels == 1) {
        all.back().channels += image.channels;
      } else {
        all.push_back(image);
      }
    }
  }
  return all;
}

// Whether the layer makes each channel from the same channel of its inputs, and all alike or with parameters of it.
bool keeps_channels(const std::string& type) {
  static const std::set<std::string_view> kTypes = {"adaptive_average_pool",
                                                    "add",
                                                    "average_pool",
                                                    "batch_norm",
                                                    "dropout",
                                                    "elu",
                                                    "gelu",
                                                    "global_average",
                                                    "global_max",
                                                    "hard_sigmoid",
                                                    "hard_swish",
                                                    "layer_norm",
                                                    "leaky_relu",
                                                    "max_pool",
                                                    "multiply",
                                                    "normalize",
                                                    "pad",
                                                    "relu",
                                                    "relu6",
                                                    "sigmoid",
                                                    "silu",
                                                    "softmax",
                                                    "stochastic_depth",
                                                    "tanh",
                                                    "upsample"};
  return kTypes.contains(type);
}

FlattenedImages output_of(const Graph& graph, const Graph::Node& node, const std::vector<FlattenedImages>& inputs) {
  const std::string type = node.layer->type();
  if (type == "flatten") return flattened(graph.shape(node.inputs.front()), inputs.front());
  if (type == "concat") return joined(inputs);
  if (has_matrix(type) || std::ranges::all_of(inputs, is_plain)) return plain(graph.shape(node.output).c);
  const bool alike = std::ranges::all_of(inputs, [&](const FlattenedImages& it) { return it == inputs.front(); });
  return alike && keeps_channels(type) ? inputs.front() : FlattenedImages{};
}

Kind kind_of(const std::string& layer_type, const std::string& parameter) {
  if (parameter != "weight") return Kind::kVector;
  if (layer_type == "conv2d") return Kind::kConv;
  if (layer_type == "conv_transpose") return Kind::kConvTranspose;
  return layer_type == "linear" ? Kind::kLinear : Kind::kVector;
}

// ---- Orders of elements

// Where each element of flattened images (h,w,c) lies in the order c,h,w.
std::vector<int64_t> channels_first(const FlattenedImages& images) {
  std::vector<int64_t> places;
  for (const auto& [pixels, channels] : images) {
    const auto before = std::ssize(places);
    for (int pixel = 0; pixel < pixels; ++pixel) {
      for (int c = 0; c < channels; ++c) places.push_back(before + int64_t{c} * pixels + pixel);
    }
  }
  return places;
}

// Calls each(ours, theirs) for every element.
template <class Each>
void for_each_element(WeightOrder order, const WeightPlace& place, const Each& each) {
  const int64_t O = place.shape.n, H = place.shape.h, W = place.shape.w, I = place.shape.c;
  const bool pytorch = order == WeightOrder::kPytorch;
  std::vector<int64_t> inputs(static_cast<size_t>(I));
  std::iota(inputs.begin(), inputs.end(), 0);
  if (pytorch) inputs = channels_first(place.inputs);
  CHECK(std::ssize(inputs) == I, place.name);
  int64_t ours = 0;
  for (int64_t o = 0; o < O; ++o) {
    for (int64_t y = 0; y < H; ++y) {
      for (int64_t x = 0; x < W; ++x) {
        for (const int64_t i : inputs) {
          switch (place.kind) {
            case Kind::kVector: each(ours++, i); break;
            case Kind::kLinear: each(ours++, pytorch ? o * I + i : i * O + o); break;
            case Kind::kConv:
              each(ours++, pytorch ? ((o * I + i) * H + y) * W + x : ((y * W + x) * I + i) * O + o);
              break;
            case Kind::kConvTranspose:
              each(ours++, pytorch ? ((i * O + o) * H + y) * W + x : ((y * W + x) * O + o) * I + i);
              break;
          }
        }
      }
    }
  }
}

bool same_order(WeightOrder order, const WeightPlace& place) {
  if (order == WeightOrder::kConvoy) return true;
  if (place.kind != Kind::kVector) return false;
  return order == WeightOrder::kKeras || is_plain(place.inputs);
}

void require_order(WeightOrder order, const WeightPlace& place) {
  if (order != WeightOrder::kPytorch || !place.inputs.empty()) return;
  throw Error(ExitCode::kConfig, (place.where.empty() ? "" : place.where + ": ") + "layer '" + place.layer + "' (" +
                                     place.layer_type + "): the order of the elements of '" + place.name +
                                     "' in PyTorch cannot be told: behind flatten, its input went through a layer that "
                                     "is not the same in PyTorch's order c,h,w and in ours, h,w,c");
}

// ---- Shapes

// Without the ones at the end, or in Keras' orders at the beginning: a linear layer may be stored as a 1x1 convolution,
// and the other way round.
std::vector<int64_t> without_ones(WeightOrder order, std::vector<int64_t> dims) {
  if (order == WeightOrder::kKeras) std::ranges::reverse(dims);
  while (!dims.empty() && dims.back() == 1) dims.pop_back();
  return dims;
}

std::string text(const std::vector<int64_t>& dims) {
  std::string out;
  for (const int64_t dim : dims) out += (out.empty() ? "" : "x") + std::to_string(dim);
  return dims.empty() ? "a scalar" : out;
}

// Keras stores depthwise filters as h,w,channels,multiplier.
bool fits(WeightOrder order, const WeightPlace& place, const std::vector<int64_t>& dims) {
  if (without_ones(order, dims) == without_ones(order, dims_in(order, place))) return true;
  return order == WeightOrder::kKeras && place.kind == Kind::kConv && place.shape.c == 1 && dims.size() == 4 &&
         dims[0] == place.shape.h && dims[1] == place.shape.w && dims[2] * dims[3] == place.shape.n;
}

WeightOrder order_of(const ForeignModel& file, const ForeignTensor& tensor) {
  return tensor.order.value_or(file.order);
}

// ---- Matching

using Pairs = std::vector<std::pair<const WeightPlace*, const ForeignTensor*>>;

Pairs by_name(const std::vector<WeightPlace>& places, const ForeignModel& file) {
  std::map<std::string_view, const ForeignTensor*> tensors;
  for (const ForeignTensor& tensor : file.tensors) tensors.emplace(tensor.name, &tensor);
  Pairs pairs;
  for (const WeightPlace& place : places) {
    const auto found = tensors.find(place.name);
    if (found != tensors.end()) pairs.emplace_back(&place, found->second);
  }
  return pairs;
}

std::string layer_of(const std::string& name) { return name.substr(0, name.rfind('.')); }
std::string role_of(const std::string& name) { return name.substr(name.rfind('.') + 1); }

// Runs of elements that belong to one layer.
template <class T, class Layer>
std::vector<std::vector<const T*>> by_layer(const std::vector<T>& all, Layer layer) {
  std::vector<std::vector<const T*>> layers;
  for (const T& element : all) {
    if (layers.empty() || layer(*layers.back().front()) != layer(element)) layers.emplace_back();
    layers.back().push_back(&element);
  }
  return layers;
}

using OurLayer = std::vector<const WeightPlace*>;
using TheirLayer = std::vector<const ForeignTensor*>;

// What they are called in a layer must agree.  Numbers say nothing: then it is their order.
Pairs in_layer(const OurLayer& ours, const TheirLayer& theirs) {
  const auto is_number = [](const ForeignTensor* it) {
    return role_of(it->name).find_first_not_of("0123456789") == std::string::npos;
  };
  const bool numbers = ours.size() == theirs.size() && std::ranges::all_of(theirs, is_number);
  Pairs pairs;
  for (size_t i = 0; i < ours.size(); ++i) {
    const std::string role = role_of(ours[i]->name);
    const auto called = std::ranges::find(theirs, role, [](const ForeignTensor* it) { return role_of(it->name); });
    if (numbers) {
      pairs.emplace_back(ours[i], theirs[i]);
    } else if (called != theirs.end()) {
      pairs.emplace_back(ours[i], *called);
    }
  }
  return pairs;
}

// The first layer with weights of the network is the first of the file, and so on; of each type where the file says
// types.  A file may have more layers, a network not.
Pairs by_order(const std::vector<WeightPlace>& places, const ForeignModel& file) {
  const bool typed = std::ranges::any_of(file.tensors, [](const ForeignTensor& it) { return !it.layer_type.empty(); });
  std::map<std::string, std::vector<TheirLayer>> types;  // "": of all layers, or of none that we have
  for (TheirLayer& layer : by_layer(file.tensors, [](const ForeignTensor& it) { return layer_of(it.name); })) {
    types[layer.front()->layer_type].push_back(std::move(layer));
  }
  std::map<std::string, size_t> seen;
  Pairs pairs;
  for (const OurLayer& layer : by_layer(places, [](const WeightPlace& place) { return place.layer; })) {
    const WeightPlace& first = *layer.front();
    const std::string type = !typed ? "" : first.depthwise ? "depthwise" : first.layer_type;
    const size_t i = seen[type]++;
    if (i >= types[type].size()) continue;
    for (const auto& pair : in_layer(layer, types[type][i])) pairs.push_back(pair);
  }
  return pairs;
}

// Layers that both call alike, of whose weights no name agrees: a normalization without its scale or its centre.
void add_numbered(Pairs& pairs, const std::vector<WeightPlace>& places, const ForeignModel& file) {
  std::map<std::string, TheirLayer> layers;
  for (const ForeignTensor& tensor : file.tensors) layers[layer_of(tensor.name)].push_back(&tensor);
  std::set<const WeightPlace*> paired;
  for (const auto& [place, tensor] : pairs) paired.insert(place);
  for (const OurLayer& layer : by_layer(places, [](const WeightPlace& place) { return place.layer; })) {
    const auto found = layers.find(layer.front()->layer);
    if (found == layers.end() || std::ranges::any_of(layer, [&](auto* place) { return paired.contains(place); }))
      continue;
    for (const auto& pair : in_layer(layer, found->second)) pairs.push_back(pair);
  }
}

}  // namespace

bool has_matrix(const std::string& layer_type) {
  return layer_type == "linear" || layer_type == "conv2d" || layer_type == "conv_transpose";
}

std::vector<WeightPlace> weight_places(const Graph& graph) {
  std::vector<FlattenedImages> channels(static_cast<size_t>(graph.values()));  // by value
  for (const Graph::Input& input : graph.inputs()) {
    channels[static_cast<size_t>(input.value.index)] = plain(input.type.shape.c);
  }
  std::vector<WeightPlace> places;
  for (const Graph::Node& node : graph.nodes()) {
    const std::vector<Shape> shapes = graph.input_shapes(node);
    std::vector<FlattenedImages> inputs;
    for (const ValueId input : node.inputs) inputs.push_back(channels[static_cast<size_t>(input.index)]);
    channels[static_cast<size_t>(node.output.index)] = output_of(graph, node, inputs);

    const std::string type = node.layer->type();
    const auto* conv = dynamic_cast<const Conv2d*>(node.layer.get());
    const int groups = conv == nullptr ? 1 : conv->options().groups;
    const bool depthwise = groups > 1 && groups == shapes.front().c;
    // Elements are in the order of the input: a bias is in that of the output, which is nobody's.
    const auto place = [&](const std::string& name, const Shape& shape, bool is_state) {
      const Kind kind = kind_of(type, name);
      FlattenedImages order = plain(shape.c);
      if (kind != Kind::kVector || !has_matrix(type)) {
        if (!is_plain(inputs.front())) order = groups > 1 ? FlattenedImages{} : inputs.front();
      }
      places.push_back(
          {kind, node.name + "." + name, node.name, type, shape, std::move(order), is_state, depthwise, node.where});
    };
    for (const ParameterSpec& parameter : node.layer->parameters(shapes)) place(parameter.name, parameter.shape, false);
    for (const StateSpec& state : node.layer->state(shapes)) place(state.name, state.shape, true);
  }
  return places;
}

std::vector<int64_t> dims_in(WeightOrder order, const WeightPlace& place) {
  const Shape& s = place.shape;
  if (place.kind == Kind::kVector) return {s.c};
  if (order == WeightOrder::kConvoy) {
    if (s.n == 1 && s.h == 1 && s.w == 1) return {s.c};
    return {s.n, s.h, s.w, s.c};
  }
  const bool pytorch = order == WeightOrder::kPytorch;
  switch (place.kind) {
    case Kind::kLinear: return pytorch ? std::vector<int64_t>{s.n, s.c} : std::vector<int64_t>{s.c, s.n};
    case Kind::kConv:
      return pytorch ? std::vector<int64_t>{s.n, s.c, s.h, s.w} : std::vector<int64_t>{s.h, s.w, s.c, s.n};
    case Kind::kConvTranspose:
      return pytorch ? std::vector<int64_t>{s.c, s.n, s.h, s.w} : std::vector<int64_t>{s.h, s.w, s.n, s.c};
    case Kind::kVector: break;
  }
  return {s.c};
}

std::vector<float> from_order(WeightOrder order, const WeightPlace& place, const std::vector<float>& theirs) {
  CHECK(static_cast<int64_t>(theirs.size()) == place.shape.elements(), place.name);
  if (same_order(order, place)) return theirs;
  require_order(order, place);
  std::vector<float> ours(theirs.size());
  for_each_element(order, place, [&](int64_t to, int64_t from) {
    ours[static_cast<size_t>(to)] = theirs[static_cast<size_t>(from)];
  });
  return ours;
}

std::vector<float> to_order(WeightOrder order, const WeightPlace& place, const std::vector<float>& ours) {
  CHECK(static_cast<int64_t>(ours.size()) == place.shape.elements(), place.name);
  if (same_order(order, place)) return ours;
  require_order(order, place);
  std::vector<float> theirs(ours.size());
  for_each_element(order, place, [&](int64_t from, int64_t to) {
    theirs[static_cast<size_t>(to)] = ours[static_cast<size_t>(from)];
  });
  return theirs;
}

MatchedWeights match_weights(const std::vector<WeightPlace>& places, const ForeignModel& file) {
  Pairs pairs = by_name(places, file);
  if (file.in_layer_order) add_numbered(pairs, places, file);
  if (pairs.empty() && file.in_layer_order) pairs = by_order(places, file);

  MatchedWeights matched;
  std::set<const ForeignTensor*> used;
  for (const auto& [place, tensor] : pairs) {
    const WeightOrder order = order_of(file, *tensor);
    if (!fits(order, *place, tensor->tensor.dims)) {
      bad_data(file.path, "'" + tensor->original + "' is " + text(tensor->tensor.dims) + ", and '" + place->name +
                              "' of the network (" + place->layer_type + ") is " + text(dims_in(order, *place)));
    }
    matched.weights[place->name] = from_order(order, *place, tensor->tensor.values);
    matched.matches.push_back({place->name, tensor->original});
    used.insert(tensor);
  }
  for (const WeightPlace& place : places) {
    if (!matched.weights.contains(place.name)) matched.missing.push_back(place.name);
  }
  for (const ForeignTensor& tensor : file.tensors) {
    if (!used.contains(&tensor)) matched.unused.push_back(tensor.original);
  }
  return matched;
}

std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kShown = 3;
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) out += (i == 0 ? "'" : ", '") + names[i] + "'";
  if (names.size() > kShown) out += " and " + std::to_string(names.size() - kShown) + " more";
  return out;
}

void require_complete(const MatchedWeights& matched, const ForeignModel& file) {
  for (const auto& [name, values] : matched.weights) {  // a relu makes a number of NaN: nobody would see it
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
      bad_data(file.path, "has an element for '" + name + "' that is NaN or infinite");
    }
  }
  if (matched.missing.empty()) return;
  std::string message = "has nothing for " + listed(matched.missing) + " of the network";
  if (!matched.unused.empty()) message += "; left over is " + listed(matched.unused);
  bad_data(file.path, message);
}

TrainingState match_training(const std::vector<WeightPlace>& places, const ForeignModel& file) {
  CHECK(file.training.has_value());
  TrainingState state{file.training->optimizer, file.training->step, {}, file.loss.value_or(LossConfig{})};
  for (const ForeignTensor& slot : file.training->slots) {
    const auto place = std::ranges::find(places, layer_of(slot.name), &WeightPlace::name);
    if (place == places.end() || place->is_state) continue;
    const WeightOrder order = order_of(file, slot);
    if (!fits(order, *place, slot.tensor.dims)) {
      bad_data(file.path, "'" + slot.original + "' is " + text(slot.tensor.dims) + ", and '" + place->name +
                              "' of the network is " + text(dims_in(order, *place)));
    }
    state.slots[slot.name] = from_order(order, *place, slot.tensor.values);
  }
  return state;
}

}  // namespace convoy
