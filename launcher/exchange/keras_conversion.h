// Between the files that convert Keras layers: what a conversion knows and writes.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/exchange/keras_json.h"
#include "launcher/exchange/keras_layers.h"
#include "launcher/exchange/model_text.h"

namespace convoy {

// An output: the layer of ours that makes it, and its shape without the batch; 0 where it is not known.
struct KerasValue {
  std::string layer = ModelText::kImage;
  std::vector<int> dims = {};
};

// y = scale · x + offset by channel, or one for all: what Rescaling and Normalization made of the pixels so far.
struct PixelScale {
  std::vector<double> scale = {1}, offset = {0};
};

class KerasConversion {
 public:
  KerasConversion(const KerasGraph& graph, const KerasWeights& weights, const std::string& where);

  KerasModel run();

  // Of one layer, while it is converted.
  struct Call {
    KerasConversion& conversion;
    const KerasNode& node;
    const KerasFields& fields;
    const std::vector<KerasValue>& inputs;
    bool is_activation = false;  // of another layer

    const KerasValue& x() const { return inputs.front(); }
    // Writes a layer of ours called after the node and `part` ("" for the node itself; "relu": "conv1.relu").
    KerasValue write(const std::string& type, std::vector<LayerParameter> parameters, std::vector<int> dims,
                     const std::string& part = "") const;
    KerasValue write(const KerasValue& input, const std::string& type, std::vector<LayerParameter> parameters,
                     std::vector<int> dims, const std::string& part = "") const;
    void note(const std::string& what) const;  // "layer 'x' (Class): what"
    int channels() const;                      // of x; throws where they are not known
    void require_image() const;                // x has height, width and channels
    void require_channels_last() const;
  };
  using Convert = KerasValue (*)(const Call&);

  const HostTensor* weight(const KerasNode& node, const std::string& role) const;  // null: none
  int readers(int node) const;  // how many nodes read it; of KerasNode::kImage, too
  int generation() const { return graph_.generation; }
  KerasModel& model() { return model_; }
  LayerNames& names() { return names_; }
  ModelText& text() { return text_; }
  PixelScale& pixels() { return pixels_; }

 private:
  KerasValue input() const;
  std::vector<bool> live() const;
  KerasValue convert(const KerasNode& node, const std::vector<KerasValue>& inputs);
  void drop_softmax(KerasValue& output);
  void finish_pixels();

  const KerasGraph& graph_;
  const KerasWeights& weights_;
  const std::string& where_;
  KerasModel model_;
  ModelText text_;
  LayerNames names_;
  PixelScale pixels_;
};

// Tables by class.  What is in none of them, Convoy has not.
using KerasTable = std::map<std::string_view, KerasConversion::Convert>;
extern const KerasTable kKerasWindows;    // convolutions, pools, Dense: keras_windows.cpp
extern const KerasTable kKerasSimple;     // normalisations, joins, shapes: keras_simple.cpp
extern const KerasTable kKerasScaling;    // Rescaling, Normalization: keras_scaling.cpp
extern const KerasTable kKerasFunctions;  // activations as layers: keras_activations.cpp

// The `activation` of a layer, behind `x`; part "relu" of the node.
KerasValue keras_activation(const KerasConversion::Call& call, const KerasValue& x);

}  // namespace convoy
