// convoy inspect MODEL.yaml …: model files without an experiment.
#include <cstdio>
#include <iostream>

#include <nlohmann/json.hpp>

#include "launcher/commands/commands.h"
#include "launcher/datasets.h"
#include "launcher/layer_rows.h"
#include "launcher/model_builder.h"

namespace convoy {
namespace {

using nlohmann::ordered_json;

struct Inspected {
  std::string name;
  Shape image;
  int classes;
  std::vector<LayerRow> layers;
};

Inspected inspect(const std::string& path, const std::vector<std::string>& overrides) {
  const Experiment e = load_model(path, overrides);
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

void print_one(const Inspected& it) {
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
  for (const std::string& file : line.words) all.push_back(inspect(file, line.overrides));
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
