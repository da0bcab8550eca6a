#include "core/io/onnx.h"

#include <gtest/gtest.h>

#include "core/io/protobuf.h"
#include "tests/core/base/testing.h"
#include "tests/core/io/testing.h"

namespace convoy {
namespace {

using Values = std::vector<float>;
using Integers = std::vector<int64_t>;

// tests/oracles/onnx_bytes.py with onnx 1.23.2, in base64.
const char* const kModel =
    "CAcSBW1ha2VyGgMxLjA6+AQKsAEKBWltYWdlCgAKBnNjYWxhchIBeRoEY2xpcCIEQ2xpcCoLCgFmFQAAAD+gAQEqEQoCZnM9AACAPz0AACBAoAEGKh"
    "EKAWkY/f//////////AaABAioXCgJpaUABQP7//////////wFArAKgAQcqDAoBcyIEdGV4dKABAyoNCgJzc0oBYUoBYqABCColCgF0Kh0IAhAHQgVp"
    "bm5lckoQBwAAAAAAAAAIAAAAAAAAAKABBBIFZ3JhcGgqHQgBCAMQAUIHZjMyX3Jhd0oMAADAPwAAAMAAAIA+KhwIAxABIgwAAMA/AAAAwAAAgD5CCG"
    "YzMl9saXN0KhUIAxAKQgdmMTZfcmF3SgYAPgDAADQqFwgDEAoqB4B8gIADgGhCCGYxNl9saXN0KhYIAxAQQghiZjE2X3Jhd0oGwD8AwIA+KicIAxAL"
    "QgdmNjRfcmF3ShgAAAAAAAD4PwAAAAAAAADAAAAAAAAA0D8qKAgDEAtCCGY2NF9saXN0UhgAAAAAAAD4PwAAAAAAAADAAAAAAAAA0D8qJwgDEAdCB2"
    "k2NF9yYXdKGAEAAAAAAAAA//////////8AAAAAAAEAACohCAMQBzoRAf///////////wGAgICAgCBCCGk2NF9saXN0Kh4IAxAGKg4B////////////"
    "AfCiBEIIaTMyX2xpc3QqEAgCEANCBmk4X3Jhd0oC/wEqEwgCEAkqAgEAQglib29sX2xpc3QqEBABIgQAAMBAQgZzY2FsYXIqCwgAEAdCBWVtcHR5Ug"
    "dza2lwcGVkWh4KBWltYWdlEhUKEwgBEg8KAxIBTgoCCAMKAggECgBiCQoBeRIECgIIAUIECgAQDUIOCgphaS5vbm54Lm1sEAJyDAoDa2V5EgV2YWx1"
    "ZXILCgVvdGhlchICw6k=";

OnnxModel parse(const std::string& file) { return parse_onnx(std::as_bytes(std::span(file)), "m.onnx"); }

const OnnxTensor& initializer(const OnnxModel& model, const std::string& name) {
  for (const OnnxTensor& tensor : model.initializers) {
    if (tensor.name == name) return tensor;
  }
  throw std::out_of_range(name);
}

void expect_model(const OnnxModel& model) {
  EXPECT_EQ(model.ir_version, 7);
  EXPECT_EQ(model.opset, 13);
  EXPECT_EQ(model.producer, "maker");
  EXPECT_EQ(model.producer_version, "1.0");
  EXPECT_EQ(model.graph_name, "graph");
  EXPECT_EQ(model.metadata, (std::map<std::string, std::string>{{"key", "value"}, {"other", "\u00e9"}}));

  ASSERT_EQ(model.nodes.size(), 1U);
  const OnnxNode& node = model.nodes[0];
  EXPECT_EQ(node.name, "clip");
  EXPECT_EQ(node.op_type, "Clip");
  EXPECT_EQ(node.inputs, (std::vector<std::string>{"image", "", "scalar"}));
  EXPECT_EQ(node.outputs, std::vector<std::string>{"y"});
  std::map<std::string, OnnxAttribute> attributes;
  for (const OnnxAttribute& attribute : node.attributes) attributes[attribute.name] = attribute;
  ASSERT_EQ(attributes.size(), 7U);
  EXPECT_EQ(attributes["f"].number, 0.5F);
  EXPECT_EQ(attributes["i"].integer, -3);
  EXPECT_EQ(attributes["s"].text, "text");
  EXPECT_EQ(attributes["fs"].numbers, (Values{1, 2.5}));
  EXPECT_EQ(attributes["ii"].integers, (Integers{1, -2, 300}));
  EXPECT_EQ(attributes["ss"].texts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(attributes["t"].tensor.at(0).integers, (Integers{7, 8}));

  ASSERT_EQ(model.inputs.size(), 1U);
  EXPECT_EQ(model.inputs[0].name, "image");
  ASSERT_EQ(model.inputs[0].dims->size(), 4U);
  EXPECT_EQ(model.inputs[0].dims->at(0).parameter, "N");
  EXPECT_EQ(model.inputs[0].dims->at(1).value, 3);
  EXPECT_EQ(model.inputs[0].dims->at(3).value, -1);
  ASSERT_EQ(model.outputs.size(), 1U);
  EXPECT_FALSE(model.outputs[0].dims.has_value());
}

TEST(Onnx, ReadsWhatPythonWrites) {
  const OnnxModel model = parse(from_base64(kModel));
  expect_model(model);
  for (const char* name : {"f32_raw", "f32_list", "f16_raw", "f16_list", "bf16_raw", "f64_raw", "f64_list"}) {
    EXPECT_EQ(initializer(model, name).values, (Values{1.5, -2, 0.25})) << name;
    EXPECT_TRUE(initializer(model, name).is_float()) << name;
  }
  EXPECT_EQ(initializer(model, "f32_raw").dims, (Integers{1, 3}));
  for (const char* name : {"i64_raw", "i64_list"})
    EXPECT_EQ(initializer(model, name).integers, (Integers{1, -1, int64_t{1} << 40})) << name;
  EXPECT_EQ(initializer(model, "i32_list").integers, (Integers{1, -1, 70000}));
  EXPECT_EQ(initializer(model, "i8_raw").integers, (Integers{-1, 1}));
  EXPECT_EQ(initializer(model, "bool_list").integers, (Integers{1, 0}));
  EXPECT_EQ(initializer(model, "scalar").values, (Values{6}));
  EXPECT_EQ(initializer(model, "scalar").dims, Integers{});
  EXPECT_EQ(initializer(model, "empty").dims, Integers{0});
}

TEST(Onnx, ReadsWhatItWrites) {
  OnnxModel model = parse(from_base64(kModel));
  std::erase_if(model.initializers, [](const OnnxTensor& tensor) {
    return tensor.type != OnnxType::kFloat && tensor.type != OnnxType::kInt64 && tensor.type != OnnxType::kInt32;
  });
  const std::string file = format_onnx(model);
  const OnnxModel again = parse(file);
  expect_model(again);
  EXPECT_EQ(initializer(again, "f32_raw").values, (Values{1.5, -2, 0.25}));
  EXPECT_EQ(initializer(again, "i64_list").integers, (Integers{1, -1, int64_t{1} << 40}));
  EXPECT_EQ(initializer(again, "i32_list").integers, (Integers{1, -1, 70000}));
  EXPECT_EQ(format_onnx(again), file);
}

// ---- Refused

// A model whose graph and rest are written by the caller.
template <class Write>
std::string model_with(const Write& write) {
  ProtoWriter out;
  out.integer(1, 7);
  out.message(8, [&] { out.integer(2, 13); });
  write(out);
  return out.take();
}

// A graph with one initializer "w", written by the caller.
template <class Write>
std::string model_with_tensor(const Write& write) {
  return model_with([&](ProtoWriter& out) {
    out.message(7, [&] {
      out.message(5, [&] {
        out.text(8, "w");
        write(out);
      });
    });
  });
}

void expect_refused(ExitCode code, const std::vector<std::string>& parts, const std::string& file) {
  std::vector<std::string> with_name = parts;
  with_name.emplace_back("m.onnx: ");
  expect_error(code, with_name, [&] { parse(file); });
}

TEST(Onnx, SizesAreCheckedAgainstWhatIsThere) {
  const auto with = [](const Integers& dims, int type, size_t raw_bytes) {
    return model_with_tensor([&](ProtoWriter& out) {
      out.packed(1, dims);
      out.integer(2, type);
      out.text(9, std::string(raw_bytes, 'x'));
    });
  };
  EXPECT_EQ(parse(with({2, 3}, 1, 24)).initializers.size(), 1U);
  const auto bad = [](const std::string& part, const std::string& file) {
    expect_refused(ExitCode::kBadData, {"tensor 'w'", part}, file);
  };
  bad("expected 7 elements for 7, found 6", with({7}, 1, 24));
  bad("expected 1099511627776 elements", with({1 << 20, 1 << 20}, 1, 24));
  bad("overflow", with({int64_t{1} << 40, int64_t{1} << 40}, 1, 24));
  bad("none negative", with({-1, -6}, 1, 24));
  bad("at most 8", with({1, 1, 1, 1, 1, 1, 1, 1, 6}, 1, 24));
  bad("ends within an element", with({6}, 1, 23));
  expect_refused(ExitCode::kConfig, {"tensor 'w'", "data type 8"}, with({6}, 8, 24));
  expect_refused(ExitCode::kConfig, {"tensor 'w'", "data type 0"}, with({6}, 0, 24));
  bad("expected 2 elements for 2, found 1", model_with_tensor([](ProtoWriter& out) {
        out.packed(1, Integers{2});
        out.integer(2, 1);
        out.packed(4, Values{1});
      }));
}

TEST(Onnx, WhatIsNotSupportedIsNamed) {
  const auto refused = [](const std::vector<std::string>& parts, const std::string& file) {
    expect_refused(ExitCode::kConfig, parts, file);
  };
  refused({"tensor 'w' lies in another file", "external_data=False"}, model_with_tensor([](ProtoWriter& out) {
            out.packed(1, Integers{2});
            out.integer(2, 1);
            out.message(13, [&] {
              out.text(1, "location");
              out.text(2, "/etc/passwd");
            });
            out.integer(14, 1);
          }));
  refused({"functions"}, model_with([](ProtoWriter& out) { out.message(25, [] {}); }));
  refused({"sparse"}, model_with([](ProtoWriter& out) { out.message(7, [&] { out.message(15, [] {}); }); }));
  const auto with_node = [](const auto& write) {
    return model_with([&](ProtoWriter& out) {
      out.message(7, [&] {
        out.message(1, [&] {
          out.text(3, "n");
          out.text(4, "If");
          write(out);
        });
      });
    });
  };
  refused({"node 'n': operator com.microsoft.If"}, with_node([](ProtoWriter& out) { out.text(7, "com.microsoft"); }));
  refused({"node 'n' (If): attribute 'then': a subgraph"}, with_node([](ProtoWriter& out) {
            out.message(5, [&] {
              out.text(1, "then");
              out.message(6, [] {});
            });
          }));
  refused({"value 'x'", "a sequence"}, model_with([](ProtoWriter& out) {
            out.message(7, [&] {
              out.message(11, [&] {
                out.text(1, "x");
                out.message(2, [&] { out.message(4, [] {}); });
              });
            });
          }));
}

TEST(Onnx, WhatIsNoModelIsSaid) {
  expect_refused(ExitCode::kBadData, {"found no graph"}, "");
  expect_refused(ExitCode::kBadData, {"found no graph"}, model_with([](ProtoWriter&) {}));
  expect_refused(ExitCode::kBadData, {"protobuf field"}, "PK\3\4 something else");
  const std::string file = from_base64(kModel);
  size_t errors = 0;
  for (size_t length = 0; length < file.size(); ++length) {
    try {
      parse(file.substr(0, length));
    } catch (const Error&) {
      ++errors;
    }
  }
  EXPECT_GT(errors, file.size() * 9 / 10);  // few cuts lie between the last fields
}

}  // namespace
}  // namespace convoy
