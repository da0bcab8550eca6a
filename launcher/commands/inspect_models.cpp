// convoy inspect MODEL …: model files without an experiment, and files of other formats.
#include <cstdio>
#include <functional>
#include <iostream>
#include <numeric>

#include <nlohmann/json.hpp>

#include "launcher/commands/commands.h"
#include "launcher/config/parts.h"
#include "launcher/datasets.h"
#include "launcher/layer_rows.h"
#include "launcher/model_builder.h"
#include "launcher/network_flags.h"

namespace convoy {
namespace {

using nlohmann::ordered_json;

struct Inspected {
  std::string name;
  Shape image = {};
  int classes = 0;
  std::vector<LayerRow> layers = {};
  // Of a file that is no model file: what it is, what was changed in reading it, and its tensors where it says nothing
  // of layers.
  std::string format = {};
  std::vector<std::string> notes = {};
  std::vector<std::pair<std::string, std::vector<int64_t>>> tensors = {};
};

int64_t elements(const std::vector<int64_t>& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

Inspected inspect_weights(const std::string& path, const NetworkOptions& options) {
  const ForeignModel file = read_model_file(path, options.hdf5);
  Inspected it{.name = path, .format = file.format, .notes = file.notes};
  it.notes.insert(it.notes.end(), file.training_notes.begin(), file.training_notes.end());
  if (file.model.empty()) {
    if (file.tensors.empty()) bad_data(path, "holds neither a network nor tensors");
    for (const ForeignTensor& tensor : file.tensors) it.tensors.emplace_back(tensor.original, tensor.tensor.dims);
    return it;
  }
  const OpenedNetwork opened = open_network(file, options);
  it.name = opened.network.config.name;
  it.image = opened.network.sample;
  it.classes = opened.network.config.classes;
  it.layers = layer_rows(opened.network.model.graph);
  return it;
}

Inspected inspect(const std::string& path, const CommandLine& line) {
  const NetworkOptions options = network_options(line);
  if (names_foreign_model(path)) {
    if (!line.overrides.empty()) throw Error(ExitCode::kUsage, path + ": key=value is for model files and experiments");
    return inspect_weights(path, options);
  }
  const Experiment e = load_model(path, with_shape(line), options.hdf5);
  const Shape image = sample_shape(e.data);
  const Model model = build_model(e.model, e.data, image, {.training = false, .normalize = false, .rewrite = false});
  return {e.model.name, image, e.model.classes, layer_rows(model.graph)};
}

ordered_json to_json(const Inspected& it) {
  ordered_json layers = ordered_json::array();
  for (const auto& [name, type, output, parameters, multiply_adds] : it.layers) {
    layers.push_back({{"name", name},
                      {"type", type},
                      {"output", {output.n, output.h, output.w, output.c}},
                      {"parameters", parameters},
                      {"multiply_adds", multiply_adds}});
  }
  const LayerRow sum = sum_of(it.layers);
  if (!it.tensors.empty()) {
    ordered_json tensors = ordered_json::object();
    for (const auto& [name, dims] : it.tensors) tensors[name] = dims;
    return {{"model", it.name}, {"format", it.format}, {"tensors", std::move(tensors)}};
  }
  return {{"model", it.name},
          {"shape", {it.image.h, it.image.w, it.image.c}},
          {"classes", it.classes},
          {"parameters", sum.parameters},
          {"multiply_adds", sum.multiply_adds},
          {"layers", std::move(layers)}};
}

std::string image_text(const Inspected& it) {
  return std::to_string(it.image.h) + "x" + std::to_string(it.image.w) + "x" + std::to_string(it.image.c);
}

void print_tensors(const Inspected& it) {
  int64_t sum = 0;
  for (const auto& [name, dims] : it.tensors) {
    std::string text;
    for (const int64_t dim : dims) text += (text.empty() ? "" : "x") + std::to_string(dim);
    std::printf("%-56s %s\n", name.c_str(), text.c_str());
    sum += elements(dims);
  }
  std::printf("%zu tensors, %lld elements; of no network: --model_file of convert says which\n", it.tensors.size(),
              static_cast<long long>(sum));
}

void print_one(const Inspected& it) {
  if (!it.format.empty()) std::printf("%s\n", it.format.c_str());
  for (const std::string& note : it.notes) std::printf("note: %s\n", note.c_str());
  if (!it.tensors.empty()) return print_tensors(it);
  std::fflush(stdout);
  std::cout << it.name << ": images of " << image_text(it) << ", " << it.classes << " classes\n\n" << table(it.layers);
}

void print_several(const std::vector<Inspected>& all) {
  std::printf("%-24s %-12s %8s %14s %12s\n", "model", "image", "classes", "parameters", "MMAC/image");
  for (const Inspected& it : all) {
    const LayerRow sum = sum_of(it.layers);
    std::printf("%-24s %-12s %8d %14lld %12.2f\n", it.name.c_str(), image_text(it).c_str(), it.classes,
                static_cast<long long>(sum.parameters), static_cast<double>(sum.multiply_adds) / 1e6);
  }
}

}  // namespace

int inspect_models(const CommandLine& line) {
  std::vector<Inspected> all;
  for (const std::string& file : line.words) all.push_back(inspect(file, line));
  if (line.json) {
    ordered_json json = ordered_json::array();
    for (const Inspected& it : all) json.push_back(to_json(it));
    std::cout << (all.size() == 1 ? json[0] : json).dump(2) << "\n";
  } else if (all.size() == 1) {
    print_one(all[0]);
  } else {
    print_several(all);
  }
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace convoy
