#include "core/io/onnx.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/base/error.h"
#include "core/device/types.h"
#include "core/io/dims.h"
#include "core/io/protobuf.h"

namespace convoy {
namespace {

constexpr size_t kMaxObjects = 50'000;  // nodes, initializers, inputs: each
constexpr size_t kMaxNames = 100'000;   // inputs, outputs or attributes of one node, strings of one attribute
constexpr size_t kMaxRank = 8;

// Bytes of an element of raw_data; 0: a type that is not supported.
int64_t element_bytes(OnnxType type) {
  switch (type) {
    case OnnxType::kUint8:
    case OnnxType::kInt8:
    case OnnxType::kBool: return 1;
    case OnnxType::kFloat16:
    case OnnxType::kBFloat16: return 2;
    case OnnxType::kFloat:
    case OnnxType::kInt32: return 4;
    case OnnxType::kInt64:
    case OnnxType::kDouble: return 8;
    case OnnxType::kNone: break;
  }
  return 0;
}

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw Error(ExitCode::kConfig, where + ": " + what);
}

// ---- Tensors

// A TensorProto before its elements are understood.
struct RawTensor {
  OnnxTensor tensor;
  std::span<const std::byte> raw;  // raw_data
  bool has_raw = false;
  std::vector<float> floats;
  std::vector<double> doubles;
  std::vector<int64_t> integers;  // int32_data, int64_data
};

template <class T, class Convert, class Out>
void convert(std::span<const std::byte> raw, const Convert& convert_one, std::vector<Out>& out) {
  const size_t count = raw.size() / sizeof(T);
  out.resize(count);
  for (size_t i = 0; i < count; ++i) {
    T element;
    std::memcpy(&element, raw.data() + i * sizeof(T), sizeof(T));
    out[i] = static_cast<Out>(convert_one(element));
  }
}

void convert_raw(std::span<const std::byte> raw, OnnxTensor& tensor) {
  const auto same = [](auto value) { return value; };
  switch (tensor.type) {
    case OnnxType::kFloat: convert<float>(raw, same, tensor.values); break;
    case OnnxType::kDouble: convert<double>(raw, same, tensor.values); break;
    case OnnxType::kFloat16: convert<uint16_t>(raw, f16_to_f32, tensor.values); break;
    case OnnxType::kBFloat16: convert<uint16_t>(raw, bf16_to_f32, tensor.values); break;
    case OnnxType::kInt64: convert<int64_t>(raw, same, tensor.integers); break;
    case OnnxType::kInt32: convert<int32_t>(raw, same, tensor.integers); break;
    case OnnxType::kInt8:
      convert<int8_t>(
          raw, [](int8_t value) { return int{value}; }, tensor.integers);
      break;
    case OnnxType::kUint8:
    case OnnxType::kBool: convert<uint8_t>(raw, same, tensor.integers); break;
    case OnnxType::kNone: break;
  }
}

// The elements from a list of their own type: f16 and bf16 as bits in int32_data.
void convert_lists(RawTensor& from, OnnxTensor& tensor) {
  switch (tensor.type) {
    case OnnxType::kFloat: tensor.values = std::move(from.floats); break;
    case OnnxType::kDouble: tensor.values.assign(from.doubles.begin(), from.doubles.end()); break;
    case OnnxType::kFloat16:
    case OnnxType::kBFloat16: {
      const auto to_f32 = tensor.type == OnnxType::kFloat16 ? f16_to_f32 : bf16_to_f32;
      for (const int64_t bits : from.integers) tensor.values.push_back(to_f32(static_cast<uint16_t>(bits)));
      break;
    }
    default: tensor.integers = std::move(from.integers);
  }
}

OnnxTensor finish(RawTensor raw, const std::string& file) {
  OnnxTensor tensor = std::move(raw.tensor);
  const std::string where = file + ": tensor '" + tensor.name + "'";
  const int64_t bytes = element_bytes(tensor.type);
  if (bytes == 0)
    refuse(where, "expected numbers of 8, 32 or 64 bits, f16, bf16 or bool, found data type " +
                      std::to_string(static_cast<int>(tensor.type)));
  if (tensor.dims.size() > kMaxRank || std::ranges::any_of(tensor.dims, [](int64_t dim) { return dim < 0; }))
    bad_data(where, "expected at most 8 dimensions, none negative");
  const std::optional<int64_t> total = dims_product(bytes, tensor.dims);
  if (!total) bad_data(where, "its " + dims_text(tensor.dims) + " elements overflow");
  const auto expect = [&](int64_t found) {
    if (found != *total / bytes)
      bad_data(where, "expected " + std::to_string(*total / bytes) + " elements for " + dims_text(tensor.dims) +
                          ", found " + std::to_string(found));
  };
  if (raw.has_raw) {
    if (std::ssize(raw.raw) % bytes != 0) bad_data(where, "its raw_data ends within an element");
    expect(std::ssize(raw.raw) / bytes);
    convert_raw(raw.raw, tensor);
  } else {
    convert_lists(raw, tensor);
    expect(std::ssize(tensor.values) + std::ssize(tensor.integers));
  }
  return tensor;
}

OnnxType read_type(const ProtoReader& reader) {
  const int64_t number = reader.integer();
  return static_cast<OnnxType>(number < 0 || number > 100 ? 100 : number);
}

// ---- Reading

class ModelParser {
 public:
  explicit ModelParser(const std::string& file) : file_(file) {}

  OnnxModel parse(std::span<const std::byte> bytes) {
    bool has_graph = false;
    for (ProtoReader reader(bytes, file_); reader.next();) {
      switch (reader.field()) {
        case 1: model_.ir_version = reader.integer(); break;
        case 2: model_.producer = reader.text(); break;
        case 3: model_.producer_version = reader.text(); break;
        case 7:
          if (std::exchange(has_graph, true)) bad_data(file_, "expected one ONNX graph, found two");
          read_graph(reader.message());
          break;
        case 8: read_opset(reader.message()); break;
        case 14: read_metadata(reader.message()); break;
        case 25: refuse(file_, "functions of the model: not supported; export with inlined functions"); break;
        default: break;
      }
    }
    if (!has_graph || model_.ir_version < 1) bad_data(file_, "expected an ONNX model, found no graph or no IR version");
    if (model_.opset < 1) bad_data(file_, "expected an ONNX model that imports ONNX's operators, found none");
    return std::move(model_);
  }

 private:
  template <class T>
  T& append(std::vector<T>& list, size_t most, const char* what) const {
    if (list.size() >= most) bad_data(file_, "more than " + std::to_string(most) + " " + what);
    return list.emplace_back();
  }

  void read_opset(ProtoReader reader) {
    std::string domain;
    int64_t version = 0;
    while (reader.next()) {
      if (reader.field() == 1) domain = reader.text();
      if (reader.field() == 2) version = reader.integer();
    }
    if (domain.empty() || domain == "ai.onnx") model_.opset = version;
  }

  void read_metadata(ProtoReader reader) {
    std::string key, value;
    while (reader.next()) {
      if (reader.field() == 1) key = reader.text();
      if (reader.field() == 2) value = reader.text();
    }
    if (model_.metadata.size() >= kMaxObjects) bad_data(file_, "too many metadata_props");
    model_.metadata[std::move(key)] = std::move(value);
  }

  void read_graph(ProtoReader reader) {
    while (reader.next()) {
      switch (reader.field()) {
        case 1: read_node(reader.message(), append(model_.nodes, kMaxObjects, "nodes")); break;
        case 2: model_.graph_name = reader.text(); break;
        case 5: append(model_.initializers, kMaxObjects, "initializers") = read_tensor(reader.message()); break;
        case 11: read_value(reader.message(), append(model_.inputs, kMaxObjects, "inputs")); break;
        case 12: read_value(reader.message(), append(model_.outputs, kMaxObjects, "outputs")); break;
        case 15: refuse(file_, "sparse initializers: not supported"); break;
        default: break;
      }
    }
  }

  void read_node(ProtoReader reader, OnnxNode& node) const {
    std::string domain;
    while (reader.next()) {
      switch (reader.field()) {
        case 1: append(node.inputs, kMaxNames, "inputs of a node") = reader.text(); break;
        case 2: append(node.outputs, kMaxNames, "outputs of a node") = reader.text(); break;
        case 3: node.name = reader.text(); break;
        case 4: node.op_type = reader.text(); break;
        case 5:
          read_attribute(reader.message(), append(node.attributes, kMaxNames, "attributes of a node"), node);
          break;
        case 7: domain = reader.text(); break;
        default: break;
      }
    }
    if (node.op_type.empty()) bad_data(file_, "node '" + node.name + "' has no operator");
    if (!domain.empty() && domain != "ai.onnx")
      refuse(file_, "node '" + node.name + "': operator " + domain + "." + node.op_type + ": not one of ONNX's own");
  }

  void read_attribute(ProtoReader reader, OnnxAttribute& attribute, const OnnxNode& node) const {
    int64_t type = 0;
    const auto unsupported = [&](const char* what) {
      refuse(file_, "node '" + node.name + "' (" + node.op_type + "): attribute '" + attribute.name + "': " + what +
                        ": not supported");
    };
    while (reader.next()) {
      switch (reader.field()) {
        case 1: attribute.name = reader.text(); break;
        case 2: attribute.number = reader.f32(); break;
        case 3: attribute.integer = reader.integer(); break;
        case 4: attribute.text = reader.text(); break;
        case 5: append(attribute.tensor, 1, "tensors in an attribute") = read_tensor(reader.message()); break;
        case 6:
        case 11: unsupported("a subgraph"); break;
        case 7: reader.append(attribute.numbers); break;
        case 8: reader.append(attribute.integers); break;
        case 9: append(attribute.texts, kMaxNames, "strings in an attribute") = reader.text(); break;
        case 20: type = reader.integer(); break;
        case 21: unsupported("a reference to one of a function"); break;
        case 22:
        case 23: unsupported("a sparse tensor"); break;
        default: break;
      }
    }
    if (type < 1 || type > 8 || type == 5) unsupported("its type");
    attribute.type = static_cast<OnnxAttribute::Type>(type);
    if ((attribute.type == OnnxAttribute::Type::kTensor) != !attribute.tensor.empty())
      bad_data(file_, "node '" + node.name + "': attribute '" + attribute.name + "' is not of its type");
  }

  OnnxTensor read_tensor(ProtoReader reader) const {
    RawTensor raw;
    raw.tensor.type = OnnxType::kNone;
    bool external = false;
    while (reader.next()) {
      switch (reader.field()) {
        case 1: reader.append(raw.tensor.dims); break;
        case 2: raw.tensor.type = read_type(reader); break;
        case 4: reader.append(raw.floats); break;
        case 5:
        case 7: reader.append(raw.integers); break;
        case 8: raw.tensor.name = reader.text(); break;
        case 9:
          raw.raw = reader.bytes();
          raw.has_raw = true;
          break;
        case 10: reader.append(raw.doubles); break;
        case 13: external = true; break;
        case 14: external = external || reader.integer() != 0; break;
        default: break;
      }
    }
    if (external)
      refuse(file_, "tensor '" + raw.tensor.name +
                        "' lies in another file, which is not supported: save the model with its weights inside (torch:"
                        " external_data=False; onnx: onnx.save(onnx.load(path), new_path))");
    return finish(std::move(raw), file_);
  }

  void read_value(ProtoReader reader, OnnxValue& value) const {
    value.type = OnnxType::kNone;
    while (reader.next()) {
      if (reader.field() == 1) value.name = reader.text();
      if (reader.field() == 2) read_value_type(reader.message(), value);
    }
  }

  void read_value_type(ProtoReader reader, OnnxValue& value) const {
    while (reader.next()) {
      if (reader.field() == 1) read_tensor_type(reader.message(), value);
      if (reader.field() == 4 || reader.field() == 5 || reader.field() == 8 || reader.field() == 9)
        refuse(file_, "value '" + value.name + "': expected a tensor, found a sequence, map, sparse or optional one");
    }
  }

  void read_tensor_type(ProtoReader reader, OnnxValue& value) const {
    while (reader.next()) {
      if (reader.field() == 1) value.type = read_type(reader);
      if (reader.field() == 2) read_shape(reader.message(), value.dims.emplace());
    }
  }

  void read_shape(ProtoReader reader, std::vector<OnnxValue::Dim>& dims) const {
    while (reader.next()) {
      if (reader.field() != 1) continue;
      OnnxValue::Dim& dim = append(dims, kMaxRank, "dimensions of a value");
      for (ProtoReader inner = reader.message(); inner.next();) {
        if (inner.field() == 1) dim.value = inner.integer();
        if (inner.field() == 2) dim.parameter = inner.text();
      }
    }
  }

  const std::string& file_;
  OnnxModel model_;
};

// ---- Writing

void write_tensor(ProtoWriter& out, const OnnxTensor& tensor) {
  CHECK(dims_product(1, tensor.dims) == std::ssize(tensor.values) + std::ssize(tensor.integers), tensor.name);
  out.packed(1, tensor.dims);
  out.integer(2, static_cast<int64_t>(tensor.type));
  out.text(8, tensor.name);
  if (tensor.type == OnnxType::kFloat) {
    out.bytes(9, std::as_bytes(std::span(tensor.values)));
  } else if (tensor.type == OnnxType::kInt64) {
    out.bytes(9, std::as_bytes(std::span(tensor.integers)));
  } else {
    CHECK(tensor.type == OnnxType::kInt32, tensor.name);
    out.packed(5, tensor.integers);
  }
}

void write_attribute(ProtoWriter& out, const OnnxAttribute& attribute) {
  using Type = OnnxAttribute::Type;
  out.text(1, attribute.name);
  switch (attribute.type) {
    case Type::kFloat: out.f32(2, attribute.number); break;
    case Type::kInt: out.integer(3, attribute.integer); break;
    case Type::kString: out.text(4, attribute.text); break;
    case Type::kTensor: out.message(5, [&] { write_tensor(out, attribute.tensor.at(0)); }); break;
    case Type::kFloats: out.packed(7, attribute.numbers); break;
    case Type::kInts: out.packed(8, attribute.integers); break;
    case Type::kStrings:
      for (const std::string& text : attribute.texts) out.text(9, text);
      break;
  }
  out.integer(20, static_cast<int64_t>(attribute.type));
}

void write_node(ProtoWriter& out, const OnnxNode& node) {
  for (const std::string& input : node.inputs) out.text(1, input);
  for (const std::string& output : node.outputs) out.text(2, output);
  out.text(3, node.name);
  out.text(4, node.op_type);
  for (const OnnxAttribute& attribute : node.attributes) out.message(5, [&] { write_attribute(out, attribute); });
}

void write_value(ProtoWriter& out, const OnnxValue& value) {
  out.text(1, value.name);
  out.message(2, [&] {
    out.message(1, [&] {
      out.integer(1, static_cast<int64_t>(value.type));
      if (!value.dims) return;
      out.message(2, [&] {
        for (const OnnxValue::Dim& dim : *value.dims) {
          out.message(1, [&] {
            if (dim.value >= 0) out.integer(1, dim.value);
            if (!dim.parameter.empty()) out.text(2, dim.parameter);
          });
        }
      });
    });
  });
}

void write_graph(ProtoWriter& out, const OnnxModel& model) {
  for (const OnnxNode& node : model.nodes) out.message(1, [&] { write_node(out, node); });
  out.text(2, model.graph_name);
  for (const OnnxTensor& tensor : model.initializers) out.message(5, [&] { write_tensor(out, tensor); });
  for (const OnnxValue& value : model.inputs) out.message(11, [&] { write_value(out, value); });
  for (const OnnxValue& value : model.outputs) out.message(12, [&] { write_value(out, value); });
}

}  // namespace

OnnxTensor onnx_floats(std::string name, std::vector<int64_t> dims, std::vector<float> values) {
  return {std::move(name), OnnxType::kFloat, std::move(dims), std::move(values), {}};
}

OnnxTensor onnx_integers(std::string name, std::vector<int64_t> values) {
  const int64_t count = std::ssize(values);
  return {std::move(name), OnnxType::kInt64, {count}, {}, std::move(values)};
}

OnnxModel parse_onnx(std::span<const std::byte> file, const std::string& name) { return ModelParser(name).parse(file); }

std::string format_onnx(const OnnxModel& model) {
  ProtoWriter out;
  out.integer(1, model.ir_version);
  out.text(2, model.producer);
  out.text(3, model.producer_version);
  out.message(7, [&] { write_graph(out, model); });
  out.message(8, [&] {
    out.text(1, "");
    out.integer(2, model.opset);
  });
  for (const auto& [key, value] : model.metadata) {
    out.message(14, [&, &key = key, &value = value] {
      out.text(1, key);
      out.text(2, value);
    });
  }
  return out.take();
}

}  // namespace convoy
