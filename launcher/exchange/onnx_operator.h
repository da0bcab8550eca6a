// One node of an ONNX graph, read attribute by attribute.  Errors name file, node and operator:
// "net.onnx: node '/conv1/Conv' (Conv): attribute auto_pad: expected …".
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/onnx.h"

namespace convoy {

class OnnxOperator {
 public:
  // Borrows both.
  OnnxOperator(const OnnxNode& node, const std::string& file) : node_(node), file_(file) {}

  const OnnxNode& node() const { return node_; }
  const std::string& type() const { return node_.op_type; }
  // "" for an input that is left out.
  std::string_view input(size_t i) const { return i < node_.inputs.size() ? node_.inputs[i] : std::string_view(); }

  bool has(std::string_view attribute) const { return find(attribute) != nullptr; }
  int64_t integer_or(std::string_view attribute, int64_t otherwise);
  double number_or(std::string_view attribute, double otherwise);
  std::string text_or(std::string_view attribute, std::string_view otherwise);
  std::vector<int64_t> integers_or(std::string_view attribute, const std::vector<int64_t>& otherwise);
  const OnnxTensor* tensor(std::string_view attribute);  // null: none

  // Refuses any other value, which would change the result.
  void require_integer(std::string_view attribute, int64_t otherwise, int64_t wanted);

  // Refuses attributes that were never asked for.
  void done() const;

  [[noreturn]] void refuse(const std::string& what) const;  // Error(kConfig): Convoy has not
  [[noreturn]] void bad(const std::string& what) const;     // Error(kBadData): no model is like this

 private:
  const OnnxAttribute* find(std::string_view attribute) const;
  const OnnxAttribute* ask(std::string_view attribute, OnnxAttribute::Type type);
  std::string where() const;

  const OnnxNode& node_;
  const std::string& file_;
  std::vector<std::string_view> asked_;
};

}  // namespace convoy
