// ONNX graphs to the text of a model file and its weights.  For onnx_import*.cpp only.
//
// Nodes are taken in order; each becomes a layer, or a note of what its output is: another name of an earlier value, a
// constant, the same value in another order of axes.  Only what the first output depends on is looked at.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "launcher/exchange/network.h"
#include "launcher/exchange/onnx_operator.h"

namespace convoy {

class OnnxImporter {
 public:
  OnnxImporter(OnnxModel model, const std::string& path);
  ForeignModel run();

 private:
  // How a value of ours looks in the ONNX graph.
  enum class Form : uint8_t {
    kImage,     // [N,C,H,W]
    kLast,      // [N,H,W,C]
    kFlat,      // [N,C]
    kConstant,  // no value of ours: an initializer, or integers about shapes
  };
  struct Value {
    Form form = Form::kImage;
    std::string layer;                   // that makes it; "image" for the input
    bool one_pixel = false;              // H = W = 1 for sure
    bool unordered = false;              // flattened c,h,w of more than one pixel, perhaps; in parts, perhaps
    bool last_order = false;             // flattened h,w,c, likewise
    OnnxTensor* tensor = nullptr;        // of kConstant
    std::string tensor_name;             // as the file calls it
    std::vector<int64_t> integers = {};  // of kConstant without a tensor; kBatch for the number of images
  };
  static constexpr int64_t kBatch = -0x4000'0000'0000'0000;    // a dimension: N
  static constexpr int64_t kUnknown = -0x4000'0000'0000'0001;  // another one

  using Take = void (OnnxImporter::*)(OnnxOperator&);
  static const std::map<std::string_view, Take> kOperators;

  // Parameters of a layer in YAML.
  class Fields {
   public:
    Fields& text(std::string_view key, std::string_view value);
    Fields& integer(std::string_view key, int64_t value);
    Fields& number(std::string_view key, double value);
    Fields& boolean(std::string_view key, bool value) { return text(key, value ? "true" : "false"); }
    Fields& list(std::string_view key, const std::vector<int64_t>& values);
    Fields& pair(std::string_view key, int64_t height, int64_t width);
    Fields& names(std::string_view key, const std::vector<std::string>& values);
    const std::string& yaml() const { return yaml_; }

   private:
    std::string yaml_;
  };

  // ---- onnx_import.cpp: the graph, names, layers
  void find_input();
  void find_needed();
  void count_uses();
  void take_nodes();
  void take(const OnnxNode& node);
  bool is_foldable(const OnnxNode& node) const;
  void read_metadata(ForeignModel& out) const;
  void finish(ForeignModel& out);

  Value& value(const OnnxOperator& op, std::string_view name);
  Value& input(const OnnxOperator& op, size_t i) { return value(op, op.input(i)); }
  Value& data(const OnnxOperator& op, size_t i);   // not a constant
  Value& image(const OnnxOperator& op, size_t i);  // of form kImage
  Value& constant(const OnnxOperator& op, size_t i);
  const std::vector<float>& constant_floats(const OnnxOperator& op, size_t i);
  std::vector<int64_t> constant_integers(const OnnxOperator& op, size_t i);
  bool is_constant(std::string_view name) const;
  std::optional<float> constant_number(std::string_view name) const;  // of one element
  void give(const OnnxOperator& op, Value value);
  void give(const OnnxOperator& op, const OnnxNode& last, Value value);  // of a pattern
  const OnnxNode* only_reader(const OnnxNode& node, std::string_view op_type) const;

  std::string layer_name(const OnnxOperator& op, std::string_view weight = {});
  // Appends a layer that reads `from`; returns the value it makes, which is like `from`.
  Value layer(const std::string& type, const std::string& name, const Value& from, const Fields& fields = {});
  Value layer_of_several(const std::string& type, const std::string& name, const std::vector<Value>& from);
  // The tensor becomes a parameter of the layer.  dims: as stored, or other ones for the same elements.
  void weight(const OnnxOperator& op, const std::string& name, std::string_view tensor, std::vector<int64_t> dims = {},
              std::optional<WeightOrder> order = {});
  void weight_values(const std::string& name, const std::string& original, std::vector<int64_t> dims,
                     std::vector<float> values, std::optional<WeightOrder> order = {});
  void count_copied(const OnnxOperator& op, const OnnxTensor& tensor);
  // The elements, moved where nobody else reads them.
  std::vector<float> take_values(const OnnxOperator& op, const Value& constant);
  // [I,O] as [O,I].
  std::vector<float> take_transposed(const OnnxOperator& op, const Value& constant);

  // ---- onnx_import_layers.cpp: what has weights or a window
  void conv(OnnxOperator& op);
  void conv_transpose(OnnxOperator& op);
  void gemm(OnnxOperator& op);
  void matmul(OnnxOperator& op);
  Value linear(const OnnxOperator& op, const Value& x, bool transposed, std::string_view bias);
  void batch_normalization(OnnxOperator& op);
  void layer_normalization(OnnxOperator& op);
  void group_normalization(OnnxOperator& op);
  void lrn(OnnxOperator& op);
  void pool(OnnxOperator& op);
  void global_pool(OnnxOperator& op);
  void reduce(OnnxOperator& op);
  void pad(OnnxOperator& op);
  void resize(OnnxOperator& op);
  Value padded(const Value& x, const std::string& name, const std::array<int64_t, 4>& pads, double value,
               Fields& fields);
  std::array<int64_t, 4> window(OnnxOperator& op, std::vector<int64_t> kernel, Fields& fields);

  // ---- onnx_import_elementwise.cpp
  void activation(OnnxOperator& op);
  void sigmoid(OnnxOperator& op);
  void clip(OnnxOperator& op);
  void gelu(OnnxOperator& op);
  void softmax(OnnxOperator& op);
  void binary(OnnxOperator& op);
  void sum(OnnxOperator& op);
  void scale_channels(OnnxOperator& op, const Value& x, size_t constant_input);
  bool gelu_of_erf(OnnxOperator& op);

  // ---- onnx_import_shapes.cpp
  void concat(OnnxOperator& op);
  void same(OnnxOperator& op);
  void constant_node(OnnxOperator& op);
  void flatten(OnnxOperator& op);
  void reshape(OnnxOperator& op);
  void squeeze(OnnxOperator& op);
  void unsqueeze(OnnxOperator& op);
  void transpose(OnnxOperator& op);
  void shape_of(OnnxOperator& op);
  void gather(OnnxOperator& op);
  bool group_norm_of_reshape(OnnxOperator& op, const std::vector<int64_t>& target);
  Value flattened(const OnnxOperator& op, const Value& x);
  Value made_constant(const OnnxOperator& op, OnnxTensor tensor);
  void concat_constants(OnnxOperator& op, const std::vector<Value>& all);

  OnnxModel model_;
  const std::string path_;
  std::map<std::string, Value, std::less<>> values_;
  std::map<std::string_view, std::vector<const OnnxNode*>> readers_;
  std::vector<bool> needed_;               // by node
  std::set<const OnnxNode*> done_;         // as part of a pattern
  std::map<const OnnxTensor*, int> uses_;  // by nodes that may make a weight of it
  std::deque<OnnxTensor> made_;            // constants that were computed
  std::string input_name_, output_name_;
  int64_t batch_ = -1;  // of the input, where it is fixed
  std::optional<std::array<int, 3>> shape_;
  std::string yaml_, last_layer_ = "image";
  std::set<std::string> names_ = {
      "image", "normalize", "softmax_cross_entropy", "distillation", "binary_cross_entropy", "mean_squared_error"};
  std::map<std::string, int> numbers_;  // of layers, by wanted name
  std::vector<ForeignTensor> tensors_;
  std::vector<std::string> notes_, training_notes_;
  int64_t classes_ = 0;
  size_t elements_ = 0, copied_ = 0;  // of initializers; of what was made of them
};

}  // namespace convoy
