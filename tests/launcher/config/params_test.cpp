#include "launcher/config/params.h"

#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

class ParamsTest : public ConfigTest {
 protected:
  // The only layer of a network; its parameters start in column 15 of line 4.
  static LayerConfig layer(const std::string& text) {
    return load(replaced(kMinimal, "    - flatten\n    - linear: {units: classes}\n", "    - " + text + "\n"))
        .model.layers.at(0);
  }

  template <class Read>
  static std::string failure(const std::string& text, Read read) {
    const LayerConfig config = layer(text);
    Params params(config);
    try {
      read(params);
      params.done();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      return error.what();
    }
    return "";
  }
};

TEST_F(ParamsTest, ReadsEveryType) {
  const LayerConfig config =
      layer("conv2d: {filters: 32, kernel: [3, 5], stride: 2, rate: 0.5, bias: false, kind: full}");
  Params params(config);
  EXPECT_EQ(params.integer("filters"), 32);
  EXPECT_EQ(params.integer_or("groups", 4), 4);
  EXPECT_EQ(params.pair("kernel"), (Params::Pair{3, 5}));
  EXPECT_EQ(params.pair_or("stride", {1, 1}), (Params::Pair{2, 2}));
  EXPECT_EQ(params.pair_or("dilation", {1, 1}), (Params::Pair{1, 1}));
  EXPECT_EQ(params.number("rate", between(0, 1)), 0.5);
  EXPECT_EQ(params.number_or("epsilon", 1e-5, above(0)), 1e-5);
  EXPECT_FALSE(params.boolean_or("bias", true));
  EXPECT_TRUE(params.boolean_or("other", true));
  EXPECT_EQ(params.choice_or("kind", "none", std::array<std::string_view, 2>{"none", "full"}), "full");
  EXPECT_EQ(params.text_or("name", "n"), "n");
  params.done();
}

TEST_F(ParamsTest, ReadsPaddingAsPairOrWord) {
  const std::array<std::string_view, 2> words = {"same", "valid"};
  const auto padding = [&](const std::string& value) {
    const LayerConfig config = layer("conv2d: {padding: " + value + "}");
    return Params(config).pair_or_word("padding", {0, 0}, at_least(0), words);
  };
  EXPECT_EQ(std::get<std::string>(padding("same")), "same");
  EXPECT_EQ(std::get<Params::Pair>(padding("0")), (Params::Pair{0, 0}));
  EXPECT_EQ(std::get<Params::Pair>(padding("[1, 2]")), (Params::Pair{1, 2}));
  const auto read = [&](Params& p) { p.pair_or_word("padding", {0, 0}, at_least(0), words); };
  EXPECT_EQ(failure("conv2d: {padding: sane}", read),
            "x.yaml:4:25: model.layers[0].conv2d.padding: expected an integer >= 0, same or valid, found 'sane'");
  EXPECT_EQ(failure("conv2d: {padding: [1, -1]}", read),
            "x.yaml:4:29: model.layers[0].conv2d.padding[1]: expected an integer >= 0, found '-1'");
  EXPECT_EQ(failure("conv2d: {padding: [1]}", read),
            "x.yaml:4:25: model.layers[0].conv2d.padding: expected an integer or a list of 2, found a list");
}

TEST_F(ParamsTest, RefusesMissingMisspeltAndLeftoverKeys) {
  const auto read = [](Params& p) {
    p.integer_or("stride", 1);
    p.integer("filters");
  };
  EXPECT_EQ(failure("conv2d: {stride: 1}", read),
            "x.yaml:4:7: model.layers[0].conv2d.filters: required key is missing");
  EXPECT_EQ(failure("conv2d: {filter: 3}", read),
            "x.yaml:4:16: model.layers[0].conv2d.filter: unknown key, did you mean 'filters'?");
  EXPECT_EQ(failure("conv2d: {filters: 3, strde: 1}", read),
            "x.yaml:4:28: model.layers[0].conv2d.strde: unknown key, did you mean 'stride'?");
  EXPECT_EQ(failure("conv2d: {filters: 3, zzz: 1}", read),
            "x.yaml:4:28: model.layers[0].conv2d.zzz: unknown key, expected one of stride, filters");
  EXPECT_EQ(failure("conv2d: {filters: 0}", read),
            "x.yaml:4:25: model.layers[0].conv2d.filters: expected an integer >= 1, found '0'");
  EXPECT_EQ(failure("relu: {slope: 1}", [](Params&) {}),
            "x.yaml:4:14: model.layers[0].relu.slope: unknown key, expected none");
}

TEST_F(ParamsTest, ReadsNestedLayersWithTheirPaths) {
  const LayerConfig config =
      layer("residual: {layers: [relu, {linear: {unit: 1}}], shortcut: [], branches: [[relu], []]}");
  Params params(config);
  const std::vector<LayerConfig> layers = params.layers("layers");
  ASSERT_EQ(layers.size(), 2U);
  EXPECT_EQ(layers[0].type, "relu");
  EXPECT_EQ(layers[1].path, "model.layers[0].residual.layers[1].linear");
  EXPECT_TRUE(params.layers_or("shortcut").empty());
  EXPECT_TRUE(params.layers_or("absent").empty());
  const auto branches = params.branches("branches");
  ASSERT_EQ(branches.size(), 2U);
  EXPECT_EQ(branches[0].at(0).path, "model.layers[0].residual.branches[0][0].relu");
  params.done();
  EXPECT_EQ(failure("residual: {layers: relu}", [](Params& p) { p.layers("layers"); }),
            "x.yaml:4:26: model.layers[0].residual.layers: expected a list, found 'relu'");
}

TEST_F(ParamsTest, FailsAtTheParameterOrAtTheLayer) {
  EXPECT_EQ(failure("max_pool: {kernel: 9}", [](Params& p) { p.fail("kernel", "larger than its input, 4x4"); }),
            "x.yaml:4:26: model.layers[0].max_pool.kernel: larger than its input, 4x4");
  EXPECT_EQ(failure("max_pool: {kernel: 9}", [](Params& p) { p.fail("impossible shape"); }),
            "x.yaml:4:7: model.layers[0].max_pool: impossible shape");
}

}  // namespace
}  // namespace convoy
