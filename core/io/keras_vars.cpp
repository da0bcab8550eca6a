#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "core/base/error.h"
#include "core/io/keras_layouts.h"

namespace convoy {
namespace {

// The layers of a model are in such a group: of Keras 3, and of TensorFlow 2.13.
constexpr std::string_view kLayers = "layers", kOldLayers = "_layer_checkpoint_dependencies";
const std::string kOptimizer = "/optimizer/vars", kOfModel = "/vars";

std::optional<int> to_number(std::string_view digits) {
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < 0) return {};
  return number;
}

std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    if (slash != 0) parts.emplace_back(path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return parts;
}

// "/layers/functional/layers/conv2d/vars" -> "functional/conv2d"; nothing for what is not of a layer.
std::optional<std::string> layer_path(const std::string& group) {
  std::vector<std::string> parts = components(group);
  if (parts.size() < 2 || parts.back() != "vars" || parts[0] == "optimizer") return {};
  parts.pop_back();
  if (parts.back().ends_with("seed_generator")) return {};  // where a layer stands in its random numbers
  std::string path;
  for (const std::string& part : parts)
    if (part != kLayers && part != kOldLayers) path += (path.empty() ? "" : "/") + part;
  return path;
}

// Such that conv2d < conv2d_1 < conv2d_2 < conv2d_10, and a layer comes before what is in it.
using SortKey = std::vector<std::pair<std::string, int>>;
SortKey sort_key(const std::string& path) {
  SortKey key;
  for (const std::string& part : components(path)) {
    const size_t mark = part.rfind('_');
    const auto number = mark == std::string::npos ? std::nullopt : to_number(std::string_view(part).substr(mark + 1));
    key.emplace_back(number ? part.substr(0, mark) : part, number.value_or(-1));
  }
  return key;
}

// Numbers by their value, others behind them.
std::tuple<int, std::string> variable_key(const HostTensor& tensor) {
  return {to_number(tensor.name).value_or(INT32_MAX), tensor.name};
}

// The datasets of each group, without those further down.
std::map<std::string, std::vector<HostTensor>> take_datasets(Hdf5File& file) {
  std::map<std::string, std::vector<HostTensor>> by_group;
  for (HostTensor& tensor : file.datasets) {
    const size_t slash = tensor.name.rfind('/');
    std::vector<HostTensor>& group = by_group[tensor.name.substr(0, slash)];
    group.push_back(std::move(tensor));
    group.back().name.erase(0, slash + 1);
  }
  for (auto& [group, tensors] : by_group) std::ranges::sort(tensors, {}, variable_key);
  return by_group;
}

std::string group_of(const std::string& layer_path) {
  std::string group;
  for (const std::string& part : components(layer_path)) group += "/" + std::string(kLayers) + "/" + part;
  return group + "/vars";
}

void write_variables(const std::vector<HostTensor>& tensors, const std::string& name, const std::string& path,
                     Hdf5File& to) {
  Hdf5Group group = {path, {}};
  add_text(group, "name", name);
  to.groups.push_back(std::move(group));
  for (size_t i = 0; i < tensors.size(); ++i) {
    to.datasets.push_back(tensors[i]);
    to.datasets.back().name = path + "/" + std::to_string(i);
  }
}

}  // namespace

bool is_vars(const Hdf5File& file) {
  return file.group("/" + std::string(kLayers)) != nullptr || file.group("/" + std::string(kOldLayers)) != nullptr ||
         file.group(kOfModel) != nullptr;
}

void read_vars(Hdf5File& from, KerasFile& to) {
  to.format = KerasFormat::kWeights;
  std::map<std::string, std::vector<HostTensor>> datasets = take_datasets(from);
  for (const Hdf5Group& group : from.groups) {
    const std::optional<std::string> path = layer_path(group.path);
    const auto found = datasets.find(group.path);
    const bool is_empty = found == datasets.end();
    if (group.path == kOptimizer && !is_empty) to.optimizer = std::move(found->second);
    if (group.path == kOfModel && !is_empty)
      to.layers.push_back({get_text(group, "name"), "", std::move(found->second)});
    if (path)
      to.layers.push_back(
          {get_text(group, "name"), *path, is_empty ? std::vector<HostTensor>{} : std::move(found->second)});
  }
  std::ranges::stable_sort(to.layers, {}, [](const KerasLayer& layer) { return sort_key(layer.path); });
}

void write_vars(const KerasFile& from, Hdf5File& to) {
  for (const KerasLayer& layer : from.layers)
    write_variables(layer.weights, layer.name, layer.path.empty() ? kOfModel : group_of(layer.path), to);
  if (!from.optimizer.empty()) write_variables(from.optimizer, "", kOptimizer, to);
}

}  // namespace convoy
