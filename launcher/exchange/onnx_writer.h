// The graph of an ONNX model while it is written: values by name, in ONNX's order N,C,H,W.
//
// A value of ours that is [N,1,1,C] is [N,C] or [N,C,1,1] there, whichever its producer makes; image() and flat() give
// the one that a reader needs.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/io/onnx.h"
#include "launcher/exchange/network.h"

namespace convoy {

OnnxAttribute onnx_integer(std::string name, int64_t value);
OnnxAttribute onnx_number(std::string name, double value);
OnnxAttribute onnx_text(std::string name, std::string value);
OnnxAttribute onnx_integers_attribute(std::string name, std::vector<int64_t> values);

class OnnxWriter {
 public:
  struct Value {
    std::string name;   // "": not there yet
    bool flat = false;  // [N,C]; else [N,C,H,W]
    bool ours = false;  // flattened in the order h,w,c, which is not ONNX's
  };

  explicit OnnxWriter(const Graph& graph);

  const Graph& graph() const { return graph_; }
  OnnxModel& model() { return model_; }
  void need_opset(int64_t opset);  // 13 unless a node needs more

  Value& value(ValueId id) { return values_[static_cast<size_t>(id.index)]; }
  std::string image(ValueId id);  // the name of it as [N,C,H,W]
  std::string flat(ValueId id);   // the name of it as [N,C].  Requires: H = W = 1

  // Adds a node with one output, which is called as the node; returns that name, made unique.
  std::string node(const std::string& name, std::string op_type, std::vector<std::string> inputs,
                   std::vector<OnnxAttribute> attributes = {});
  // Adds constants; return their name, made unique.
  std::string floats(const std::string& name, std::vector<int64_t> dims, std::vector<float> values);
  std::string integers(const std::string& name, std::vector<int64_t> values);
  std::string scalar(const std::string& name, double value) { return floats(name, {}, {static_cast<float>(value)}); }

  std::string unique(std::string name);  // `name`, or with "_" behind it; taken from now on

 private:
  const Graph& graph_;
  OnnxModel model_;
  std::vector<Value> values_;
  std::set<std::string> names_;
};

}  // namespace convoy
