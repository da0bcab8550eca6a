#include "launcher/config/blocks.h"

#include "launcher/config/parts.h"
#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

constexpr const char* kLayers = "    - flatten\n    - linear: {units: classes}\n";

// `model` are the lines of the section; the first is line 3 of x.yaml.
std::string with_model(const std::string& model) {
  return replaced(kMinimal, "  layers:\n" + std::string(kLayers), model);
}

constexpr const char* kConvBn =
    "  blocks:\n"
    "    conv_bn:\n"
    "      parameters: [name, filters, kernel: 3, then: []]\n"
    "      layers:\n"
    "        - conv2d: {filters: $filters, kernel: $kernel, padding: same, name: $name.conv}\n"
    "        - residual: {layers: [batch_norm: {name: $(name)_bn}], shortcut: $then}\n";

class BlocksTest : public ConfigTest {
 protected:
  // With `use` as the layers, from line 10.
  static std::string model_with(const std::string& use) {
    return with_model(kConvBn + std::string("  layers:\n") + use);
  }
  // The layers that `use` comes to, as `config show` prints them.
  static std::string shown(const std::string& text) {
    const std::string all = show(load(text));
    const size_t begin = all.find("  layers:\n"), end = all.find("  zero_init_residual:");
    return all.substr(begin, end - begin);
  }
};

TEST_F(BlocksTest, BecomeTheirLayers) {
  EXPECT_EQ(shown(model_with("    - conv_bn: {name: a, filters: 4}\n"
                             "    - conv_bn: {name: b.0, filters: 8, kernel: [1, 3], then: [relu, conv_bn: {name: c, "
                             "filters: 8}]}\n"
                             "    - linear: {units: classes}\n")),
            "  layers:\n"
            "    - conv2d: {filters: 4, kernel: 3, padding: same, name: a.conv}\n"
            "    - residual:\n"
            "        layers:\n"
            "          - batch_norm: {name: a_bn}\n"
            "        shortcut: []\n"
            "    - conv2d: {filters: 8, kernel: [1, 3], padding: same, name: b.0.conv}\n"
            "    - residual:\n"
            "        layers:\n"
            "          - batch_norm: {name: b.0_bn}\n"
            "        shortcut:\n"
            "          - relu\n"
            "          - conv2d: {filters: 8, kernel: 3, padding: same, name: c.conv}\n"
            "          - residual:\n"
            "              layers:\n"
            "                - batch_norm: {name: c_bn}\n"
            "              shortcut: []\n"
            "    - linear: {units: 10}\n"
            "  top: []\n");
}

TEST_F(BlocksTest, ArePartsOfBlocksOfRepeatsAndOfTheTop) {
  const std::string text = with_model(
      "  blocks:\n"
      "    pair: {parameters: [name], layers: [act: {name: $(name)_0}, act: {name: $name.1}]}\n"
      "    act: {parameters: [name, type: relu], layers: [$type, relu: {name: $name}]}\n"
      "    end: {layers: [linear: {units: classes}]}\n"
      "  layers:\n"
      "    - repeat: {times: 2, from: 1, layers: [pair: {name: b$i}]}\n"
      "    - concat: {branches: [[], [act: {name: x, type: flatten}]]}\n"
      "  top: [end]\n");
  EXPECT_EQ(shown(text),
            "  layers:\n"
            "    - repeat:\n"
            "        times: 2\n"
            "        from: 1\n"
            "        layers:\n"
            "          - relu\n"
            "          - relu: {name: \"b$(i)_0\"}\n"
            "          - relu\n"
            "          - relu: {name: \"b$(i).1\"}\n"
            "    - concat:\n"
            "        branches:\n"
            "          - []\n"
            "          -\n"
            "            - flatten\n"
            "            - relu: {name: x}\n"
            "  top:\n"
            "    - linear: {units: 10}\n");
  const std::string printed = show(load(text));
  EXPECT_EQ(show(load(printed)), printed);
}

TEST_F(BlocksTest, BelongToTheirFile) {
  write("net.yaml",
        "blocks: {end: {layers: [linear: {units: classes}]}}\n"
        "made_for: {shape: [8, 8, 1], classes: 3}\n"
        "layers: [flatten]\n"
        "top: [end]\n");
  EXPECT_EQ(load(with_model("  config: net.yaml\n")).model.top.at(0).type, "linear");
  const Experiment other = load(with_model("  config: net.yaml\n  blocks: {end: {layers: [relu]}}\n  top: [end]\n"));
  EXPECT_EQ(other.model.layers.at(0).type, "flatten");
  EXPECT_EQ(other.model.top.at(0).type, "relu");
}

TEST_F(BlocksTest, ErrorsNameTheUseAndTheDefinition) {
  EXPECT_EQ(error_of(model_with("    - relu\n    - conv_bn: {name: a}\n")),
            "x.yaml:11:7: model.layers[1].conv_bn.filters: the block at x.yaml:4:5 requires it");
  EXPECT_EQ(error_of(model_with("    - conv_bn\n")),
            "x.yaml:10:7: model.layers[0].conv_bn.filters: the block at x.yaml:4:5 requires it");
  EXPECT_EQ(error_of(model_with("    - conv_bn: {name: a, filter: 3}\n")),
            "x.yaml:10:26: model.layers[0].conv_bn.filter: the block at x.yaml:4:5 has no such parameter, did you mean "
            "'filters'?");
  EXPECT_EQ(error_of(model_with("    - conv_bn: [a]\n")),
            "x.yaml:10:16: model.layers[0].conv_bn: expected a map, found a list");
  EXPECT_EQ(
      error_of(model_with("    - conv_bn: {name: [a], filters: 3}\n")),
      "x.yaml:10:23: model.layers[0].conv_bn: expected one word or number for $name in '$name.conv', found a list");
  const Experiment e = load(model_with("    - conv_bn: {name: a, filters: 3}\n"));
  EXPECT_EQ(e.model.layers.at(0).where.text(), "x.yaml:7:11 (block used at x.yaml:10:7)");
  EXPECT_EQ(e.model.layers.at(0).parameters.find("filters")->where.text(), "x.yaml:7:29 (block used at x.yaml:10:7)");
  EXPECT_EQ(e.model.layers.at(1).path, "model.layers[1].residual");
}

TEST_F(BlocksTest, RefusesWrongDefinitions) {
  const auto failure = [&](const std::string& block) {
    return error_of(with_model("  blocks:\n    b: " + block + "\n  layers: [relu]\n"));
  };
  EXPECT_EQ(failure("{layers: [relu]}"), "");
  EXPECT_EQ(failure("[relu]"), "x.yaml:4:8: model.blocks.b: expected a map, found a list");
  EXPECT_EQ(failure("{}"), "x.yaml:4:5: model.blocks.b.layers: required key is missing");
  EXPECT_EQ(failure("{layer: []}"), "x.yaml:4:9: model.blocks.b.layer: unknown key, did you mean 'layers'?");
  EXPECT_EQ(failure("{layers: {}}"), "x.yaml:4:17: model.blocks.b.layers: expected a list, found a map");
  EXPECT_EQ(failure("{parameters: a, layers: []}"),
            "x.yaml:4:21: model.blocks.b.parameters: expected a list, found 'a'");
  EXPECT_EQ(failure("{parameters: [a, a: 1], layers: []}"),
            "x.yaml:4:25: model.blocks.b.parameters[1]: two parameters are called 'a'");
  EXPECT_EQ(failure("{parameters: [i], layers: []}"),
            "x.yaml:4:22: model.blocks.b.parameters[0]: 'i' is the counter of repeat; expected another name");
  EXPECT_EQ(failure("{parameters: [2x], layers: []}"),
            "x.yaml:4:22: model.blocks.b.parameters[0]: expected a name of letters, digits and '_', found '2x'");
  EXPECT_EQ(failure("{parameters: [{a: 1, b: 2}], layers: []}"),
            "x.yaml:4:22: model.blocks.b.parameters[0]: expected a name, or a name and its default, found a map");
  EXPECT_EQ(failure("{parameters: [mid], layers: [relu: {name: $mud.x}]}"),
            "x.yaml:4:50: model.blocks.b.layers[0].relu.name: the block has no parameter 'mud', did you mean 'mid'?");
  EXPECT_EQ(failure("{parameters: [a, b: $a], layers: []}"),
            "x.yaml:4:28: model.blocks.b.parameters[1].b: the block has no parameter 'a'");
  EXPECT_EQ(error_of(with_model("  blocks: [x]\n  layers: [relu]\n")),
            "x.yaml:3:11: model.blocks: expected a map, found a list");
}

// ---- Hostile

TEST_F(BlocksTest, RecursionEnds) {
  const auto failure = [&](const std::string& blocks) {
    const std::string text = with_model("  blocks:\n" + blocks + "  layers: [a]\n");
    const std::string error = error_of(text);
    return error.substr(error.find(": model") + 2);
  };
  const std::string nested = "blocks are nested deeper than 32; does '";
  EXPECT_EQ(failure("    a: {layers: [a]}\n"), "model.layers[0].a: " + nested + "a' contain itself?");
  EXPECT_EQ(failure("    a: {layers: [relu, b]}\n    b: {layers: [a, a]}\n"),
            "model.layers[16].a: " + nested + "a' contain itself?");
  EXPECT_NE(failure("    a: {layers: [residual: {layers: [a]}]}\n").find("nested deeper than 32"), std::string::npos);
  EXPECT_NE(failure("    a: {layers: [concat: {branches: [[a], [a]]}]}\n").find("nested deeper than"),
            std::string::npos);
}

TEST_F(BlocksTest, DepthAndTextAreBounded) {
  const auto chain = [](const std::string& leaf, const std::string& body) {
    std::string blocks = "  blocks:\n    b0: " + leaf + "\n";
    for (int i = 1; i <= 28; ++i) {
      blocks += "    b" + std::to_string(i) + ": " + replaced(body, "NEXT", "b" + std::to_string(i - 1)) + "\n";
    }
    return with_model(blocks + "  layers: [b28: {name: aaaaaaaa}]\n");
  };
  const std::string deep = error_of(chain("{parameters: [name], layers: []}",
                                          "{parameters: [name], layers: [residual: {layers: [NEXT: {name: x}]}]}"));
  EXPECT_NE(deep.find("deeper than 30 levels"), std::string::npos) << deep;
  const std::string text = error_of(chain("{parameters: [name], layers: [relu: {name: $name}]}",
                                          "{parameters: [name], layers: [NEXT: {name: $name$name}]}"));
  EXPECT_NE(text.find("more than 4096 bytes of text"), std::string::npos) << text;
}

TEST_F(BlocksTest, DoublingEnds) {
  std::string blocks = "  blocks:\n    b0: {layers: []}\n";
  for (int i = 1; i <= 28; ++i) {
    const std::string next = "b" + std::to_string(i - 1);
    blocks += "    b" + std::to_string(i) + ": {layers: [" + next + ", " + next + "]}\n";
  }
  const std::string error = error_of(with_model(blocks + "  layers: [b28]\n"));
  EXPECT_NE(error.find("the blocks come to more than 9000 values"), std::string::npos) << error;
}

TEST_F(BlocksTest, LargeArgumentsAreCounted) {
  std::string list = "relu";
  for (int i = 0; i < 4000; ++i) list += ", relu";
  const std::string error =
      error_of(with_model("  blocks:\n    b: {parameters: [x], layers: [residual: {layers: $x}, "
                          "residual: {layers: $x}, residual: {layers: $x}]}\n"
                          "  layers:\n    - b: {x: [" +
                          list + "]}\n"));
  EXPECT_EQ(error, "x.yaml:6:7: model.layers[0].b: the blocks come to more than 9000 values");
}

TEST_F(BlocksTest, AModelIsBoundedWithoutTheHelpOfBlocks) {
  std::string list = "relu";
  for (int i = 0; i < 9000; ++i) list += ", relu";
  EXPECT_EQ(error_of(with_model("  blocks: {}\n  layers: [" + list + "]\n")),
            "x.yaml:3:3: model: more than 9000 values with its blocks");
}

// What show() prints is read again.
TEST_F(BlocksTest, ABaseWithoutANameIsCalledSo) {
  const Experiment e = load(with_model("  base: {layers: [relu]}\n  layers: [flatten, linear: {units: classes}]\n"));
  EXPECT_EQ(e.model.base->name, "base");
  EXPECT_EQ(parse_model(show(e.model), "shown").base->name, "base");
}

// ---- A model file alone

TEST_F(BlocksTest, AModelFileIsLoadedForWhatItWasMadeFor) {
  write("net.yaml", "made_for: {shape: [8, 8, 1], classes: 3}\nlayers: [flatten]\ntop: [linear: {units: classes}]\n");
  EXPECT_TRUE(is_model_file("net.yaml"));
  const Experiment e = load_model("net.yaml", {});
  EXPECT_EQ(e.model.name, "net");
  EXPECT_EQ(*e.data.shape, (std::array{8, 8, 1}));
  EXPECT_EQ(e.data.classes, 3);
  EXPECT_EQ(load_model("net.yaml", {"data.classes=7", "data.shape=[4,4,1]"}).model.classes, 7);
  write("net.yaml", "layers: [flatten, linear: {units: classes}]\n");
  EXPECT_EQ(*load_model("net.yaml", {}).data.shape, (std::array{224, 224, 3}));
  EXPECT_EQ(load_model("net.yaml", {}).data.classes, 1000);
  write("net.yaml", "classes: 3\nlayers: [flatten, linear: {units: classes}]\n");
  EXPECT_EQ(load_model("net.yaml", {}).data.classes, 3);
  write("x.yaml", kMinimal);
  EXPECT_FALSE(is_model_file("x.yaml"));
  write("net.yaml", "made_for: {size: 3}\nlayers: [flatten]\n");
  EXPECT_THROW(load_model("net.yaml", {}), Error);
}

}  // namespace
}  // namespace convoy
