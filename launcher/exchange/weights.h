// The parameters and running statistics of a graph, and the tensors of foreign files: which is which, and how their
// elements lie.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "launcher/exchange/network.h"

namespace convoy {

// The channels of a value as far as their order is concerned: images that flatten made them of, one behind the other.
// Ours is pixel by pixel (h,w,c), PyTorch's channel by channel (c,h,w).  What no flatten made is one pixel.  Empty:
// PyTorch's order cannot be told, as in a sum of images of different shapes that were flattened.
struct FlattenedImage {
  int pixels = 1, channels = 1;
  friend bool operator==(const FlattenedImage&, const FlattenedImage&) = default;
};
using FlattenedImages = std::vector<FlattenedImage>;

// One parameter or running statistic of a graph.
struct WeightPlace {
  enum class Kind : uint8_t { kVector, kConv, kConvTranspose, kLinear } kind = Kind::kVector;
  std::string name;        // "conv1.weight"
  std::string layer;       // "conv1"
  std::string layer_type;  // "conv2d"
  Shape shape;             // as in ParameterSpec and StateSpec
  FlattenedImages inputs;  // of the layer, where the elements follow them
  bool is_state = false;
  bool depthwise = false;  // conv2d with as many groups as channels, and more than one
  std::string where = {};  // of the layer, "model.yaml:12:5"
};
std::vector<WeightPlace> weight_places(const Graph& graph);  // in graph order; of a layer first parameters, then state

// Whether layers of this type multiply their input by a matrix, behind which the order of channels is nobody's.
bool has_matrix(const std::string& layer_type);

// What a file in that order holds for `place`: its dims, and its elements from and to ours.  from_order() and
// to_order() throw Error(kConfig) naming layer and place for PyTorch's order where that cannot be told.
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

// By name; in files in layer order, where of a layer only its own name agrees, by the order in it; where no name
// agrees, layer by layer, or where it says their types, the i-th layer of each type with the i-th.  Throws
// Error(kBadData) naming both where a tensor has another shape than its place.
MatchedWeights match_weights(const std::vector<WeightPlace>& places, const ForeignModel& file);

// "'a', 'b' and 12 more".  Requires: not empty.
std::string listed(const std::vector<std::string>& names);

// Throws Error(kBadData) listing the first of what is missing.
void require_complete(const MatchedWeights& matched, const ForeignModel& file);

// The optimizer's part; slots of parameters that are no places are left out.
TrainingState match_training(const std::vector<WeightPlace>& places, const ForeignModel& file);

}  // namespace convoy
