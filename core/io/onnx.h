// ONNX files: a network as a list of operators, with its weights.  https://onnx.ai, onnx/onnx.proto
//
// Plain structs for the part of ModelProto that inference of one network needs, and nothing of what operators mean.
// What is not here is refused by name where it would change the result: weights in other files, functions, subgraphs,
// sparse tensors, operators of other domains than ONNX's own, sequences, maps and optional values as inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

enum class OnnxType : int32_t {
  kNone = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kBFloat16 = 16,
};

struct OnnxTensor {
  std::string name;
  OnnxType type = OnnxType::kFloat;
  std::vector<int64_t> dims;      // empty is a scalar
  std::vector<float> values;      // row-major, of the floating types; all of them become f32
  std::vector<int64_t> integers;  // of the others
  bool is_float() const {
    return type == OnnxType::kFloat || type == OnnxType::kFloat16 || type == OnnxType::kDouble ||
           type == OnnxType::kBFloat16;
  }
};
OnnxTensor onnx_floats(std::string name, std::vector<int64_t> dims, std::vector<float> values);
OnnxTensor onnx_integers(std::string name, std::vector<int64_t> values);  // of rank 1

struct OnnxAttribute {
  enum class Type : int32_t { kFloat = 1, kInt = 2, kString = 3, kTensor = 4, kFloats = 6, kInts = 7, kStrings = 8 };
  std::string name;
  Type type = Type::kInt;
  float number = 0;
  int64_t integer = 0;
  std::string text;
  std::vector<float> numbers = {};
  std::vector<int64_t> integers = {};
  std::vector<std::string> texts = {};
  std::vector<OnnxTensor> tensor = {};  // of kTensor: one
};

struct OnnxNode {
  std::string name;  // may be empty
  std::string op_type;
  std::vector<std::string> inputs, outputs;  // values; an empty name is an optional one that is left out
  std::vector<OnnxAttribute> attributes = {};
};

struct OnnxValue {
  struct Dim {
    int64_t value = -1;     // -1: any, or that of the parameter
    std::string parameter;  // "N"
  };
  std::string name;
  OnnxType type = OnnxType::kFloat;
  std::optional<std::vector<Dim>> dims;
};

struct OnnxModel {
  int64_t ir_version = 0;
  std::string producer, producer_version;
  int64_t opset = 0;  // of ONNX's own operators
  std::map<std::string, std::string> metadata;
  std::string graph_name;
  std::vector<OnnxNode> nodes;           // in an order in which they can run
  std::vector<OnnxTensor> initializers;  // weights and constants, by the name of the value
  std::vector<OnnxValue> inputs;         // initializers may be among them, in files of IR 3
  std::vector<OnnxValue> outputs;
};

// Sizes are checked against the bytes that are there before memory is taken; at most 50000 nodes and as many
// initializers.  `name` is for messages.  Throws Error(kBadData), and Error(kConfig) for what is refused by name.
OnnxModel parse_onnx(std::span<const std::byte> file, const std::string& name);

// Requires: tensors of float, int64 or int32, whose elements agree with their dims.
std::string format_onnx(const OnnxModel& model);

}  // namespace convoy
