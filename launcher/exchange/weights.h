// The parameters and running statistics of a graph, and the tensors of foreign files: which is which, and how their
// elements lie.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "launcher/exchange/network.h"

namespace convoy {

// One parameter or running statistic of a graph.
struct WeightPlace {
  enum class Kind : uint8_t { kVector, kConv, kConvTranspose, kLinear } kind = Kind::kVector;
  std::string name;        // "conv1.weight"
  std::string layer;       // "conv1"
  std::string layer_type;  // "conv2d"
  Shape shape;             // as in ParameterSpec and StateSpec
  Shape flattened = {};    // [1,H,W,C] that a flatten made the input of this layer of; else 1x1x1xC
  bool is_state = false;
  bool depthwise = false;  // conv2d with as many groups as channels, and more than one
};
std::vector<WeightPlace> weight_places(const Graph& graph);  // in graph order; of a layer first parameters, then state

// What a file in that order holds for `place`: its dims, and its elements from and to ours.
std::vector<int64_t> dims_in(WeightOrder order, const WeightPlace& place);
std::vector<float> from_order(WeightOrder order, const WeightPlace& place, const std::vector<float>& theirs);
std::vector<float> to_order(WeightOrder order, const WeightPlace& place, const std::vector<float>& ours);

struct WeightMatch {
  std::string name;      // of the place
  std::string original;  // of the tensor in the file
};

struct MatchedWeights {
  std::map<std::string, std::vector<float>> weights;  // by place, in our order
  std::vector<WeightMatch> matches;                   // in graph order
  std::vector<std::string> missing;                   // places for which the file has nothing
  std::vector<std::string> unused;                    // tensors of the file, as it calls them
};

// By name; where no name agrees and the file is in layer order, layer by layer, or where it says their types, the i-th
// layer of each type with the i-th.  Throws Error(kBadData) naming both where a tensor has another shape than its
// place.
MatchedWeights match_weights(const std::vector<WeightPlace>& places, const ForeignModel& file);

// "'a', 'b' and 12 more".  Requires: not empty.
std::string listed(const std::vector<std::string>& names);

// Throws Error(kBadData) listing the first of what is missing.
void require_complete(const MatchedWeights& matched, const ForeignModel& file);

// The optimizer's part; slots of parameters that are no places are left out.
TrainingState match_training(const std::vector<WeightPlace>& places, const ForeignModel& file);

}  // namespace convoy
