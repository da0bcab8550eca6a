#include "core/graph/program.h"

#include <cmath>

#include "tests/core/base/testing.h"
#include "tests/core/graph/program_rig.h"

namespace convoy {
namespace {

using fake::ProgramRig;
using Names = std::vector<std::string>;
using Floats = std::vector<float>;

constexpr Shape kShape{1, 1, 2, 1};
const Floats kImage{3, -1};  // sum of squares: 10

TEST(Program, StepsAreForwardThenBackwardWithoutUnwantedGradients) {
  ProgramRig rig;
  const ValueId image = rig.input(kShape, kImage);
  rig.add("loss", "loss", {rig.add("b", "scale", {rig.add("a", "scale", {image}, 2)}, 5)});
  rig.compile();
  EXPECT_EQ(rig.step_names(), (Names{"a forward", "b forward", "loss forward", "loss backward", "b backward_weights",
                                     "b backward_data", "a backward_weights"}));
  rig.run_poisoned();  // loss = (5 * 2 * image)² / 2
  EXPECT_EQ(rig.parameters().control()[kLossSum], 500);
  EXPECT_EQ(rig.gradient("b"), 5 * 2 * 2 * 10);
  EXPECT_EQ(rig.gradient("a"), 2 * 5 * 5 * 10);
}

TEST(Program, GradientsOfSeveralReadersMeetInAVisibleSum) {
  ProgramRig rig;
  const ValueId a = rig.add("a", "scale", {rig.input(kShape, kImage)}, 2);
  rig.add("loss1", "loss", {rig.add("b", "scale", {a}, 3)});
  rig.add("loss2", "loss", {rig.add("c", "scale", {a}, -1)});
  rig.add("loss3", "loss", {a});
  rig.compile();
  EXPECT_EQ(rig.step_names(),
            (Names{"a forward", "b forward", "loss1 forward", "c forward", "loss2 forward", "loss3 forward",
                   "loss3 backward", "loss2 backward", "c backward_weights", "c backward_data", "loss1 backward",
                   "b backward_weights", "b backward_data", "a.gradients forward", "a backward_weights"}));
  rig.run_poisoned();
  EXPECT_EQ(rig.gradient("a"), 2 * 10 * (9 + 1 + 1));
  EXPECT_EQ(rig.gradient("b"), 3 * 2 * 2 * 10);
  EXPECT_EQ(rig.gradient("c"), -1 * 2 * 2 * 10);
}

TEST(Program, AddHandsItsOwnGradientOnWithoutSteps) {
  ProgramRig rig;
  const ValueId image = rig.input(kShape, kImage);
  const ValueId a = rig.add("a", "scale", {image}, 2), b = rig.add("b", "scale", {image}, 5);
  rig.add("loss", "loss", {rig.add("sum", "add", {a, b, image})});
  rig.compile();
  EXPECT_EQ(rig.step_names(), (Names{"a forward", "b forward", "sum forward", "loss forward", "loss backward",
                                     "b backward_weights", "a backward_weights"}));
  rig.run_poisoned();
  EXPECT_EQ(rig.gradient("a"), 8 * 10);
  EXPECT_EQ(rig.gradient("b"), 8 * 10);
}

TEST(Program, AValueAddedToItselfGetsItsGradientTwice) {
  ProgramRig rig;
  const ValueId a = rig.add("a", "scale", {rig.input(kShape, kImage)}, 3);
  rig.add("loss", "loss", {rig.add("twice", "add", {a, a})});
  rig.compile();
  rig.run_poisoned();
  EXPECT_EQ(rig.gradient("a"), 2 * (2 * 3) * 10);
}

TEST(Program, ResidualBlockKeepsTheGradientOfTheShortcut) {
  ProgramRig rig;
  const ValueId a = rig.add("a", "scale", {rig.input(kShape, kImage)}, 2);
  const ValueId b = rig.add("b", "scale", {a}, 3);
  const ValueId c = rig.add("c", "scale", {b}, 1);
  rig.add("loss", "loss", {rig.add("sum", "add", {c, a})});
  rig.compile();
  rig.run_poisoned();  // y = 4 a = 8 image
  EXPECT_EQ(rig.gradient("c"), 8 * 6 * 10);
  EXPECT_EQ(rig.gradient("b"), 8 * 2 * 10);
  EXPECT_EQ(rig.gradient("a"), 8 * 4 * 10);
}

TEST(Program, FlattenHasNoStepsAndSharesMemoryBothWays) {
  ProgramRig rig;
  const ValueId a = rig.add("a", "scale", {rig.input({1, 2, 1, 1}, kImage)}, 2);
  const ValueId flat = rig.add("flat", "flatten", {a});
  rig.add("loss1", "loss", {rig.add("b", "scale", {flat}, 3)});
  rig.add("loss2", "loss", {a});  // meets the gradient that came through the view
  rig.compile({.keep = {a, flat}});
  EXPECT_EQ(rig.step_names(),
            (Names{"a forward", "b forward", "loss1 forward", "loss2 forward", "loss2 backward", "loss1 backward",
                   "b backward_weights", "b backward_data", "a.gradients forward", "a backward_weights"}));
  rig.run_poisoned();
  EXPECT_EQ(rig.gradient("a"), 2 * 10 * (9 + 1));
  EXPECT_EQ(rig.program().value(a).data, rig.program().value(flat).data);
  EXPECT_EQ(rig.program().value(flat).type.shape, (Shape{1, 1, 1, 2}));
}

TEST(Program, TheNetworksInputCanBeFlattened) {
  ProgramRig rig;
  const ValueId flat = rig.add("flat", "flatten", {rig.input({1, 2, 1, 1}, kImage)});
  rig.add("loss", "loss", {rig.add("a", "scale", {flat}, 2)});
  rig.compile();
  rig.run_poisoned();
  EXPECT_EQ(rig.gradient("a"), 2 * 10);
}

TEST(Program, ReadersOfAnotherLayoutShareOneConversion) {
  ProgramRig rig;
  const ValueId a = rig.add("a", "scale", {rig.input(kShape, kImage)}, 2);
  rig.add("loss1", "loss", {rig.add("b", "blocked", {a})});
  rig.add("loss2", "loss", {rig.add("c", "blocked", {a})});
  rig.compile();
  EXPECT_EQ(rig.step_names(), (Names{"a forward", "b.convert forward", "b forward", "loss1 forward", "c forward",
                                     "loss2 forward", "loss2 backward", "c backward", "loss1 backward", "b backward",
                                     "b.convert.gradients forward", "b.convert backward", "a backward_weights"}));
  rig.run_poisoned();
  EXPECT_EQ(rig.gradient("a"), 2 * 10 * (4 + 4));
}

TEST(Program, WithoutGradientAConversionIsNotUndone) {
  ProgramRig rig;
  const ValueId image = rig.input(kShape, kImage);
  const ValueId b = rig.add("b", "blocked", {image});
  rig.add("loss", "loss", {rig.add("a", "scale", {b}, 3)});
  rig.compile();
  EXPECT_EQ(rig.step_names(), (Names{"b.convert forward", "b forward", "a forward", "loss forward", "loss backward",
                                     "a backward_weights"}));
  rig.run_poisoned();
  EXPECT_EQ(rig.gradient("a"), 3 * 4 * 10);
}

TEST(Program, AnotherDtypeIsAConversionToo) {
  ProgramRig rig;
  const ValueId a = rig.add("a", "scale", {rig.input(kShape, kImage)}, 2);
  const ValueId half = rig.add("half", "half", {a});
  const ValueId sum = rig.add("sum", "add", {half, a});  // wants both as the first one lies
  rig.add("loss", "loss", {sum});
  rig.compile({.keep = {sum}});
  rig.run_poisoned();
  EXPECT_EQ(rig.program().value(sum).type.dtype, Dtype::kBF16);
  EXPECT_EQ(rig.kept(sum), (Floats{12, -4}));
  EXPECT_EQ(rig.gradient("a"), 2 * (2 * 2) * 10);
}

TEST(Program, FrozenLayersPassGradientsOnButGetNone) {
  ProgramRig rig;
  const ValueId a = rig.add("a", "scale", {rig.input(kShape, kImage)}, 2);
  rig.add("loss", "loss", {rig.add("b", "scale", {a}, 3)});
  rig.graph.freeze(1);
  rig.compile();
  EXPECT_EQ(rig.step_names(), (Names{"a forward", "b forward", "loss forward", "loss backward", "b backward_data",
                                     "a backward_weights"}));
  rig.run_poisoned();
  EXPECT_EQ(rig.gradient("a"), 2 * 9 * 10);
  EXPECT_FALSE(rig.parameters().gradient(rig.slot("b")));
}

TEST(Program, BackwardStopsBelowTheLowestTrainableLayer) {
  ProgramRig rig;
  const ValueId a = rig.add("a", "scale", {rig.input(kShape, kImage)}, 2);
  const ValueId t = rig.add("t", "tanh", {rig.add("r", "relu", {a})});
  rig.add("loss", "loss", {rig.add("b", "scale", {t}, 3)});
  rig.graph.freeze(0);
  rig.compile();
  EXPECT_EQ(rig.step_names(), (Names{"a forward", "r forward", "t forward", "b forward", "loss forward",
                                     "loss backward", "b backward_weights"}));
}

TEST(Program, NothingTrainableMeansNoBackward) {
  ProgramRig rig;
  rig.add("loss", "loss", {rig.add("a", "scale", {rig.input(kShape, kImage)}, 2)});
  rig.graph.freeze(0);
  rig.compile();
  EXPECT_EQ(rig.step_names(), (Names{"a forward", "loss forward"}));
}

TEST(Program, WhatNoLossReadsGetsNoGradient) {
  ProgramRig rig;
  const ValueId a = rig.add("a", "scale", {rig.input(kShape, kImage)}, 2);
  rig.add("unread", "scale", {a}, 7);
  rig.add("loss", "loss", {a});
  rig.compile();
  EXPECT_EQ(rig.step_names(),
            (Names{"a forward", "unread forward", "loss forward", "loss backward", "a backward_weights"}));
  rig.run_poisoned();
  EXPECT_EQ(rig.gradient("unread"), 0);
}

TEST(Program, EvaluationIsForwardOnlyInLessMemory) {
  ProgramRig rig;
  ValueId value = rig.input({1, 8, 8, 8}, kImage);
  for (int i = 0; i < 6; ++i)
    value = rig.add("t" + std::to_string(i), "tanh", {rig.add("s" + std::to_string(i), "scale", {value})});
  rig.add("loss", "loss", {value});
  rig.compile();
  const int64_t training = rig.program().memory().arena_bytes;
  rig.compile({.mode = Mode::kEval, .keep = {value}});
  EXPECT_EQ(rig.step_names().size(), 13u);
  EXPECT_LT(3 * rig.program().memory().arena_bytes, training);
  rig.run_poisoned();
  float expected = 3;
  for (int i = 0; i < 6; ++i) expected = std::tanh(expected);
  EXPECT_FLOAT_EQ(rig.kept(value)[0], expected);
}

TEST(Program, KeptValuesSurviveAndAreCanonical) {
  ProgramRig rig;
  const ValueId image = rig.input({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const ValueId a = rig.add("a", "scale", {image}, 2);
  const ValueId b = rig.add("b", "blocked", {a});
  rig.add("loss", "loss", {rig.add("c", "scale", {b}, 0.5F)});
  rig.compile({.keep = {a, b, image}});
  rig.run_poisoned();
  EXPECT_EQ(rig.kept(a), (Floats{2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(rig.kept(b), (Floats{4, 8, 12, 16, 20, 24}));
  EXPECT_EQ(rig.kept(image), (Floats{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(rig.program().value(b).type.layout.canonical());
  EXPECT_EQ(rig.gradient("a"), 2 * 91);
}

TEST(Program, StepsSayWhatTheyWriteAndWhichGradientsAreFinal) {
  ProgramRig rig;
  const ValueId a = rig.add("a", "scale", {rig.input(kShape, kImage)}, 2);
  rig.add("loss", "loss", {rig.add("b", "scale", {a}, 3)});
  rig.compile();
  const Plan plan = rig.program().plan();
  const std::vector<Step>& steps = plan.steps();
  EXPECT_EQ(steps[0].outputs.size(), 1u);
  EXPECT_EQ(steps[0].gradient_end, 0);
  EXPECT_EQ(steps[4].name, "b backward_weights");
  EXPECT_EQ(steps[4].gradient_begin, rig.slot("b").offset);
  EXPECT_EQ(steps[4].gradient_end, rig.slot("b").offset + 1);
  EXPECT_EQ(steps[4].outputs.at(0).data, rig.parameters().gradient(rig.slot("b")).data);
  EXPECT_EQ(steps[0].bytes, 2 * 8 + 4);  // x, y, w
}

TEST(Program, AStepMakesTheGradientsOfAllParametersOfItsLayerFinal) {
  ProgramRig rig;
  rig.add("loss", "loss", {rig.add("a", "affine", {rig.input(kShape, kImage)}, 2)});
  rig.compile();
  const Step last = rig.program().plan().steps().back();
  EXPECT_EQ(last.gradient_begin, 0);
  EXPECT_EQ(last.gradient_end, rig.parameters().slots()[1].offset + 1);
  EXPECT_EQ(last.outputs.size(), 2u);
  rig.run_poisoned();
  EXPECT_EQ(rig.gradient("a"), 2 * 10);
  EXPECT_EQ(rig.parameters().gradients()[rig.parameters().slots()[1].offset], 2 * (3 - 1));
}

TEST(Program, AKernelThatCannotBeMadeIsAnErrorWithItsPlace) {
  ProgramRig rig;
  rig.graph.add("odd", fake::make_layer("unknown"), {rig.input(kShape)}, "model.yaml:3:5");
  expect_error(ExitCode::kConfig, {"model.yaml:3:5: unknown 'odd': no kernel"}, [&] { rig.compile(); });
}

}  // namespace
}  // namespace convoy
