// What Convoy does with a network that it read before it computes anything.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "launcher/config/parts.h"
#include "launcher/exchange/network.h"
#include "launcher/exchange/weights.h"
#include "launcher/layer_rows.h"
#include "launcher/model_builder.h"

namespace convoy {

inline void look_at(const ModelConfig& config, const Shape& image) {
  const Model model = build_model(config, {}, image, {.training = false, .normalize = false, .rewrite = false});
  table(layer_rows(model.graph));
  weight_places(model.graph);
}

// Ends the program where a network does not come back from its own text, but for the names of files: such text may be
// somebody else's.
inline void expect_same_when_printed(ModelConfig config) {
  config.weights.reset();
  if (config.base) config.base->weights.reset();
  const std::string printed = show(config);
  const std::string again = show(parse_model(printed, "printed"));
  if (again == printed) return;
  std::fprintf(stderr, "PRINTED OTHERWISE:\n%s----\n%s", printed.c_str(), again.c_str());
  std::abort();
}

// As open_network() does.
inline void look_at(const ForeignModel& file) {
  if (file.model.empty()) return;
  ModelConfig config = parse_model(file.model, file.path);
  expect_same_when_printed(config);
  if (config.classes == 0) config.classes = file.classes;
  substitute_classes(config);
  const auto [h, w, c] = file.shape.value_or(std::array<int, 3>{32, 32, 3});
  const Model model = build_model(config, {}, {1, h, w, c}, {.training = false, .normalize = false, .rewrite = false});
  table(layer_rows(model.graph));
  const std::vector<WeightPlace> places = weight_places(model.graph);
  match_weights(places, file);
  if (file.training) match_training(places, file);
}

}  // namespace convoy
