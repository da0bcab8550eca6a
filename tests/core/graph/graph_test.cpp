#include "core/graph/graph.h"

#include <gtest/gtest.h>

#include "tests/core/base/testing.h"
#include "tests/core/graph/fake_layers.h"

namespace convoy {
namespace {

using fake::make_layer;

class GraphTest : public testing::Test {
 protected:
  ValueId add(const std::string& name, const std::string& type, std::vector<ValueId> inputs) {
    return graph_.add(name, make_layer(type), std::move(inputs), name + ".yaml:1:1");
  }
  Graph graph_;
  const ValueId image_ = graph_.input("image", {2, 3, 4, 5}, Dtype::kF32);
};

TEST_F(GraphTest, ShapesFollowTheLayers) {
  const ValueId a = add("a", "scale", {image_});
  const ValueId flat = add("flat", "flatten", {a});
  EXPECT_EQ(graph_.shape(a), (Shape{2, 3, 4, 5}));
  EXPECT_EQ(graph_.shape(flat), (Shape{2, 1, 1, 60}));
  EXPECT_EQ(graph_.values(), 3);
  EXPECT_EQ(graph_.input_shapes(graph_.nodes()[1]), (std::vector<Shape>{{2, 3, 4, 5}}));
  EXPECT_EQ(graph_.inputs()[0].type, (ValueType{{2, 3, 4, 5}, Dtype::kF32}));
}

TEST_F(GraphTest, RefusedInputsNameThePlaceAndTheLayer) {
  const ValueId flat = add("flat", "flatten", {image_});
  expect_error(ExitCode::kConfig, {"sum.yaml:1:1: add 'sum': inputs must have one shape"}, [&] {
    add("sum", "add", {image_, flat});
  });
  EXPECT_EQ(graph_.nodes().size(), 1u);
}

TEST_F(GraphTest, NamesAreUnique) {
  add("a", "scale", {image_});
  expect_error(ExitCode::kConfig, {"a.yaml:1:1: ", "two layers are called 'a'"}, [&] { add("a", "relu", {image_}); });
}

TEST_F(GraphTest, OnlyReader) {
  const ValueId a = add("a", "scale", {image_});
  EXPECT_EQ(graph_.only_reader(a), -1);
  const ValueId b = add("b", "relu", {a});
  EXPECT_EQ(graph_.only_reader(a), 1);
  add("twice", "multiply", {b, b});  // one node, but two places that read it
  EXPECT_EQ(graph_.only_reader(b), -1);
  add("c", "relu", {a});
  EXPECT_EQ(graph_.only_reader(a), -1);
}

TEST_F(GraphTest, FuseReplacesTwoNodesByOne) {
  const ValueId a = add("a", "scale", {image_});
  const ValueId b = add("b", "relu", {a});
  const ValueId c = add("c", "scale", {b});
  graph_.freeze(0);
  graph_.fuse(0, 1, make_layer("tanh"), {image_});
  ASSERT_EQ(graph_.nodes().size(), 2u);
  const Graph::Node& fused = graph_.nodes()[0];
  EXPECT_EQ(fused.name, "a");
  EXPECT_EQ(fused.where, "a.yaml:1:1");
  EXPECT_EQ(fused.layer->type(), "tanh");
  EXPECT_EQ(fused.inputs, (std::vector<ValueId>{image_}));
  EXPECT_EQ(fused.output, b);
  EXPECT_TRUE(fused.frozen);
  EXPECT_EQ(graph_.nodes()[1].output, c);
  EXPECT_EQ(graph_.only_reader(b), 1);
}

TEST_F(GraphTest, FuseRefusesAValueThatOthersRead) {
  const ValueId a = add("a", "scale", {image_});
  add("b", "relu", {a});
  add("c", "relu", {a});
  EXPECT_THROW(graph_.fuse(0, 1, make_layer("tanh"), {image_}), InternalError);
}

TEST_F(GraphTest, FuseMayNotChangeAShape) {
  const ValueId a = add("a", "scale", {image_});
  add("b", "relu", {a});
  EXPECT_THROW(graph_.fuse(0, 1, make_layer("flatten"), {image_}), InternalError);
}

}  // namespace
}  // namespace convoy
