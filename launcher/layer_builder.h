// The layers of a model file, appended to a graph.  The layer types are in layer_table.cpp; here are those that hold
// other layers or read several values.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph/graph.h"
#include "launcher/config/params.h"

namespace convoy {

// Layers that Convoy adds to networks itself, and their names.
inline constexpr const char* kNormalizeLayer = "normalize";
inline constexpr std::array<std::string_view, 5> kAddedLayers = {
    kNormalizeLayer, "softmax_cross_entropy", "distillation", "binary_cross_entropy", "mean_squared_error"};

class LayerBuilder {
 public:
  // Layers call the input of the network, `image`, by this name.  They may read any layer that is in the graph already.
  // `zero_init_residual` is the `zero_init` of a residual that does not say it.
  LayerBuilder(Graph& graph, ValueId image, bool zero_init_residual = false);

  // Adds `layers` to the graph, the first one behind `x`, and gives the output of the last.  Layers without a `name`
  // key are called by type and number: conv2d_1, batch_norm_1, ….  Throws Error(kConfig) with file, line and path.
  ValueId append(const std::vector<LayerConfig>& layers, ValueId x);

 private:
  using Append = ValueId (LayerBuilder::*)(const LayerConfig&, Params&, ValueId);
  static const std::map<std::string_view, Append> kComposed;

  ValueId append(const LayerConfig& config, ValueId x);
  ValueId append_plain(const LayerConfig& config, Params& params, ValueId x);
  ValueId concat(const LayerConfig& config, Params& params, ValueId x);
  ValueId repeat(const LayerConfig& config, Params& params, ValueId x);
  ValueId residual(const LayerConfig& config, Params& params, ValueId x);
  ValueId squeeze_excite(const LayerConfig& config, Params& params, ValueId x);

  ValueId add(const LayerConfig& config, Params& params, std::unique_ptr<Layer> layer, std::vector<ValueId> inputs);
  void start_at_zero(const Params& params, ValueId end);
  ValueId value_of(const Params& params, std::string_view key, const std::string& name) const;
  std::vector<ValueId> several_inputs(Params& params);
  std::string new_name(Params& params, const std::string& type);

  Graph& graph_;
  ValueId image_;
  bool zero_init_residual_;
  std::map<std::string, int, std::less<>> numbers_;  // of layers so far, by type
  int64_t copied_ = 0;                               // values, by repeats
  size_t inputs_ = 0;                                // of layers that read several
};

}  // namespace convoy
