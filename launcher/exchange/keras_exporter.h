// Between the files that write Keras models: the network so far, as Keras layers.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/exchange/keras_dialect.h"
#include "launcher/exchange/model_text.h"
#include "launcher/exchange/readers.h"
#include "launcher/exchange/weights.h"
#include "layers/window.h"

namespace convoy {

class KerasExporter {
 public:
  explicit KerasExporter(const Network& network);

  // All layers, the InputLayer first.  A softmax at the end where `probabilities`, and a vector.
  const std::vector<KerasLayerOut>& run(bool probabilities);

 private:
  using Node = Graph::Node;
  using Write = void (KerasExporter::*)(const Node&);
  static const std::map<std::string_view, Write> kWriters;

  // ---- Layers (keras_export_layers.cpp)
  void conv2d(const Node& node);
  void separable_conv2d(const Node& depthwise, const Node& pointwise);
  void conv_transpose(const Node& node);
  void linear(const Node& node);
  void batch_norm(const Node& node);
  void activation(const Node& node);
  void softmax(const Node& node);
  void norm(const Node& node);
  void pad(const Node& node);
  void upsample(const Node& node);
  void stochastic_depth(const Node& node);
  void max_pool(const Node& node);
  void average_pool(const Node& node);
  void adaptive_pool(const Node& node);
  void global_pool(const Node& node);
  void dropout(const Node& node);
  void flatten(const Node& node);
  void join(const Node& node);

  // ---- What they are made of
  // A layer after `inputs`; its index.
  size_t emit(const std::string& class_name, const std::string& name, nlohmann::ordered_json config,
              std::vector<size_t> inputs, std::vector<int> dims);
  void emit_node(const Node& node, const std::string& class_name, nlohmann::ordered_json config, size_t input,
                 std::vector<int> dims);
  void emit_node(const Node& node, const std::string& name, const std::string& class_name,
                 nlohmann::ordered_json config, size_t input, std::vector<int> dims);
  // Parameters of the node, in Keras' order of elements, for the layer written last.
  void add_weights(const Node& node, const std::vector<std::pair<std::string, std::string>>& roles);
  [[noreturn]] void refuse(const Node& node, const std::string& why) const;

  // The layer that made a value, as an image or as a vector: between them is a Flatten or a Reshape.
  size_t as_image(ValueId value);
  size_t as_vector(ValueId value);
  size_t as_it_is(ValueId value) const { return made_by_[static_cast<size_t>(value.index)]; }
  bool is_vector(ValueId value) const { return layers_[as_it_is(value)].dims.size() == 1; }
  std::vector<int> image_dims(ValueId value) const;
  bool read_as_image(ValueId value) const;
  bool never_negative(ValueId value) const;
  const Node* producer(ValueId value) const;
  // The depthwise convolution that Keras makes one layer with this one, a pointwise one, or null.
  const Node* depthwise_before(const Node& node) const;

  // Keras' word for the padding of a window; what it has no word for becomes a ZeroPadding2D, of which `input` is then
  // the index.
  std::string padding_word(const Node& node, const Window& window, size_t& input);

  const Network& network_;
  const Graph& graph_;
  std::map<std::string, WeightPlace> places_;
  std::vector<KerasLayerOut> layers_;
  std::vector<size_t> made_by_;     // by value
  std::vector<const Node*> nodes_;  // by layer: the node that it is, or null
  LayerNames names_;
};

}  // namespace convoy
