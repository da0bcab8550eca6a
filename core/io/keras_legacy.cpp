#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "core/io/keras_layouts.h"

namespace convoy {
namespace {

constexpr size_t kMaxAttributeBytes = 64512;  // Keras' HDF5_OBJECT_HEADER_LIMIT
const std::string kModelWeights = "/model_weights", kOptimizerWeights = "/optimizer_weights";
const std::string kTopLevel = "top_level_model_weights";  // of the model itself, not of a layer: Keras 3

const Hdf5Group& require_group(const Hdf5File& file, const std::string& path) {
  const Hdf5Group* group = file.group(path);
  if (group == nullptr) bad_data(file.path, path + ": expected a group, found none");
  return *group;
}

// What is in a group, in the order of its weight_names; taken out of the file.
class Weights {
 public:
  explicit Weights(Hdf5File& file) : file_(file) {
    for (HostTensor& tensor : file.datasets) datasets_.emplace(tensor.name, &tensor);
  }

  std::vector<HostTensor> take(const Hdf5Group& group) {
    std::vector<HostTensor> weights;
    for (const std::string& name : get_text_list(group, "weight_names")) {
      const std::string path = join_path(group.path, name);
      const auto found = datasets_.find(path);
      if (found == datasets_.end()) bad_data(file_.path, path + ": weight_names lists it, but there is none, or twice");
      weights.push_back(std::move(*found->second));
      weights.back().name = name;
      datasets_.erase(found);
    }
    return weights;
  }

 private:
  Hdf5File& file_;
  std::map<std::string, HostTensor*> datasets_;  // by path; of those that are not taken yet
};

void write_weights(const std::vector<HostTensor>& weights, Hdf5Group group, Hdf5File& to) {
  std::vector<std::string> names;
  for (const HostTensor& weight : weights) {
    names.push_back(weight.name);
    to.datasets.push_back(weight);
    to.datasets.back().name = join_path(group.path, weight.name);
  }
  add_text_list(group, "weight_names", names);
  to.groups.push_back(std::move(group));
}

// As numpy.array_split: the first parts are one longer.
std::vector<std::vector<std::string>> split(const std::vector<std::string>& texts, size_t parts) {
  std::vector<std::vector<std::string>> result;
  auto begin = texts.begin();
  for (size_t i = 0; i < parts; ++i) {
    const auto end = begin + static_cast<std::ptrdiff_t>(texts.size() / parts + (i < texts.size() % parts ? 1 : 0));
    result.emplace_back(begin, end);
    begin = end;
  }
  return result;
}

// In an attribute all texts take as much as the longest of the whole list.
size_t longest(const std::vector<std::string>& texts) {
  size_t bytes = 1;
  for (const std::string& text : texts) bytes = std::max(bytes, text.size());
  return bytes;
}

}  // namespace

std::string join_path(const std::string& above, const std::string& name) {
  return (above == "/" ? "" : above) + "/" + name;
}

std::string get_text(const Hdf5Group& group, const std::string& name) {
  const Hdf5Attribute* attribute = group.find(name);
  return attribute == nullptr || attribute->list ? "" : attribute->texts[0];
}

void add_text(Hdf5Group& group, const std::string& name, const std::string& text) {
  if (!text.empty()) group.attributes.push_back({name, false, {text}});
}

std::vector<std::string> get_text_list(const Hdf5Group& group, const std::string& name) {
  if (const Hdf5Attribute* whole = group.find(name)) return whole->texts;
  std::vector<std::string> texts;
  for (size_t i = 0;; ++i) {
    const Hdf5Attribute* part = group.find(name + std::to_string(i));
    if (part == nullptr) return texts;
    texts.insert(texts.end(), part->texts.begin(), part->texts.end());
  }
}

void add_text_list(Hdf5Group& group, const std::string& name, const std::vector<std::string>& texts) {
  const size_t bytes = longest(texts);
  if (bytes > kMaxAttributeBytes)
    bad_data(group.path, "a name of " + std::to_string(bytes) + " bytes is too long for HDF5");
  size_t parts = 1;
  while ((texts.size() + parts - 1) / parts * bytes > kMaxAttributeBytes) ++parts;
  if (parts == 1) {
    group.attributes.push_back({name, true, texts});
    return;
  }
  const auto pieces = split(texts, parts);
  for (size_t i = 0; i < parts; ++i) group.attributes.push_back({name + std::to_string(i), true, pieces[i]});
}

bool is_legacy(const Hdf5File& file) {
  const Hdf5Group& root = require_group(file, "/");
  return root.find("layer_names") != nullptr || root.find("layer_names0") != nullptr ||
         file.group(kModelWeights) != nullptr;
}

void read_legacy(Hdf5File& from, KerasFile& to) {
  const Hdf5Group& root = require_group(from, "/");
  const bool at_root = root.find("layer_names") != nullptr || root.find("layer_names0") != nullptr;
  const Hdf5Group& top = at_root ? root : require_group(from, kModelWeights);
  to.format = at_root ? KerasFormat::kLegacyWeights : KerasFormat::kLegacyModel;
  to.keras_version = get_text(root, "keras_version");
  if (to.keras_version.empty()) to.keras_version = get_text(top, "keras_version");
  to.model_config = get_text(root, "model_config");
  to.training_config = get_text(root, "training_config");
  Weights weights(from);
  for (const std::string& name : get_text_list(top, "layer_names")) {
    const Hdf5Group& group = require_group(from, join_path(top.path, name));
    to.layers.push_back({name, name, weights.take(group)});
  }
  if (const Hdf5Group* own = from.group(join_path(top.path, kTopLevel))) {
    std::vector<HostTensor> of_model = weights.take(*own);
    if (!of_model.empty()) to.layers.push_back({kTopLevel, kTopLevel, std::move(of_model)});
  }
  if (const Hdf5Group* optimizer = from.group(kOptimizerWeights)) to.optimizer = weights.take(*optimizer);
}

void write_legacy(const KerasFile& from, Hdf5File& to) {
  Hdf5Group root = {"/", {}}, top = {"/", {}};
  const bool whole = from.format == KerasFormat::kLegacyModel;
  if (whole) {
    top.path = kModelWeights;
    add_text(root, "keras_version", from.keras_version);
    add_text(root, "backend", "tensorflow");  // whose kernels are not flipped
    add_text(root, "model_config", from.model_config);
    add_text(root, "training_config", from.training_config);
  }
  std::vector<std::string> names;
  std::vector<const KerasLayer*> layers;
  for (const KerasLayer& layer : from.layers) {
    layers.push_back(&layer);
    if (layer.name != kTopLevel) names.push_back(layer.name);
  }
  const std::set<std::string> different(names.begin(), names.end());
  if (different.size() != names.size()) bad_data(from.path, "expected layers of different names, found two alike");
  add_text_list(top, "layer_names", names);
  add_text(top, "backend", "tensorflow");
  add_text(top, "keras_version", from.keras_version);
  if (whole) to.groups.push_back(std::move(root));
  const std::string path = top.path;
  to.groups.push_back(std::move(top));
  std::ranges::sort(layers, {}, &KerasLayer::name);  // "a" before "a/b"
  for (const KerasLayer* layer : layers) write_weights(layer->weights, {join_path(path, layer->name), {}}, to);
  if (std::ranges::find(layers, kTopLevel, &KerasLayer::name) == layers.end())
    write_weights({}, {join_path(path, kTopLevel), {}}, to);
  if (!from.optimizer.empty()) write_weights(from.optimizer, {kOptimizerWeights, {}}, to);
}

}  // namespace convoy
