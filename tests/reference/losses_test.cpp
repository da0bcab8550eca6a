// The losses of the reference equal PyTorch's.  The literals are printed by tests/oracles/pytorch_losses.py.
#include <gtest/gtest.h>

#include <bit>

#include "core/device/target.h"
#include "tests/reference/layers.h"

namespace convoy {
namespace {

constexpr int kRows = 3, kClasses = 4;

enum class Third { kNone, kWeights, kTeacher };

reference::Inputs inputs(Third third = Third::kNone) {
  reference::Inputs in;
  in.scalars = {.one_over_global_rows = 1, .valid_rows = kRows};
  in.x.assign(2, reference::Array({kRows, 1, 1, kClasses}));
  in.x[0].data = {1, -2, 0.5, 3, 0.25, 4, -1.5, 2, -0.5, 0, 0.75, -3};
  in.x[1] = reference::Array(targets_shape(kRows));
  const Target targets[kRows] = {Target::of(2), {3, 0, 0.75F}, Target::of(1)};
  for (size_t row = 0; row < kRows; ++row) {
    in.x[1][3 * row] = targets[row].a;
    in.x[1][3 * row + 1] = targets[row].b;
    in.x[1][3 * row + 2] = std::bit_cast<int32_t>(targets[row].share);
  }
  if (third == Third::kWeights) {
    in.x.emplace_back(Shape{1, 1, 1, kClasses});
    in.x[2].data = {0.5, 2, 0, 1.25};
  } else if (third == Third::kTeacher) {
    in.x.emplace_back(Shape{kRows, 1, 1, kClasses});
    in.x[2].data = {2, -1, 0, 1, 0.5, 0.5, -2, 3, -1, 1.5, 0.25, 0};
  }
  return in;
}

// PyTorch's is the mean over rows.
void expect_as_pytorch(const Layer& loss, Third third, double wanted, const std::vector<double>& gradient) {
  const reference::Inputs in = inputs(third);
  EXPECT_NEAR(reference::forward(loss, in).control[kLossSum] / kRows, wanted, 1e-12);
  const reference::Array dx = reference::backward(loss, in).dx[0];
  ASSERT_EQ(dx.size(), gradient.size());
  for (size_t i = 0; i < gradient.size(); ++i) EXPECT_NEAR(dx[i] / kRows, gradient[i], 1e-12) << i;
}

TEST(Losses, SoftmaxCrossEntropy) {
  expect_as_pytorch(SoftmaxCrossEntropy(), Third::kNone, 2.2062197368278125,
                    {0.03685125012057974, 0.001834715709194557, -0.3109819202864628, 0.2722959544566885,
                     -0.07659244389512707, 0.2866299125553259, 0.001171390940040559, -0.21120885960023944,
                     0.05358066832702366, -0.24499374576424077, 0.18701490835132578, 0.004398169085891314});
  expect_as_pytorch(SoftmaxCrossEntropy(0.1), Third::kNone, 2.2374697368278125,
                    {0.028517916787246415, -0.006498617624138776, -0.28598192028646285, 0.2639626211233553,
                     -0.07659244389512707, 0.2782965792219926, -0.007161942393292774, -0.19454219293357278,
                     0.045247334993690345, -0.21999374576424074, 0.1786815750179925, -0.003935164247442017});
}

TEST(Losses, SoftmaxCrossEntropyOfWeightedClasses) {
  expect_as_pytorch(SoftmaxCrossEntropy(), Third::kWeights, 1.7200149533368634,
                    {0, 0, 0, 0, -0.0345044716385725, 0.3045442820900338, 0.0012446028737930941, -0.2712844133252544,
                     0.10716133665404733, -0.48998749152848153, 0.37402981670265156, 0.008796338171782629});
  expect_as_pytorch(SoftmaxCrossEntropy(0.3), Third::kWeights, 1.8459941433186262,
                    {-0.002135585903586948, -0.049483986206789024, 0.006286334919432326, 0.04533323719094365,
                     -0.03475725499250524, 0.243795660369209, 0.0012006757135415728, -0.21023908109024536,
                     0.07758249862480852, -0.36814573506612974, 0.31441881466566646, -0.023855578224345225});
}

TEST(Losses, Distillation) {
  expect_as_pytorch(Distillation(0.9, 4), Third::kTeacher, 1.2918948608466592,
                    {-0.11650189922374662, -0.05658885875154837, -0.021279562586247122, 0.19437032056154224,
                     -0.0714035031208494, 0.2892550587207206, -0.010957654502853905, -0.20689390109701736,
                     0.08531118442805047, -0.09373021780432053, 0.1279844454795846, -0.11956541210331456});
  expect_as_pytorch(Distillation(0.25, 0.5, 0.1), Third::kTeacher, 1.8556292347039376,
                    {-0.013906882670910226, -0.004961451570028028, -0.2148726580945178, 0.23374099233545603,
                     -0.05769871725166522, 0.2493397913678063, -0.005372640216845279, -0.18626843389929582,
                     0.0363082379007222, -0.19446962046984081, 0.1629170312389079, -0.004755648669789253});
}

TEST(Losses, BinaryCrossEntropy) {
  expect_as_pytorch(BinaryCrossEntropy(), Third::kNone, 1.0771222661305095,
                    {0.06092154821916707, 0.009933576835176462, -0.03146172239984545, 0.07938117723520279,
                     0.02601470840714984, 0.08183448250315904, 0.015202126983863029, 0.01089975649815686,
                     0.03146172239984545, -0.041666666666666664, 0.05659822493128275, 0.003952156098130565});
  expect_as_pytorch(BinaryCrossEntropy(0.1), Third::kNone, 1.0849347661305095,
                    {0.05883821488583374, 0.00785024350184313, -0.025211722399845454, 0.07729784390186945,
                     0.02601470840714984, 0.0797511491698257, 0.013118793650529696, 0.01506642316482352,
                     0.029378389066512117, -0.03541666666666667, 0.054514891597949415, 0.0018688227647972316});
}

TEST(Losses, MeanSquaredError) {
  expect_as_pytorch(
      MeanSquaredError(), Third::kNone, 3.7395833333333335,
      {1. / 6, -1. / 3, -1. / 12, 0.5, 0, 2. / 3, -0.25, 0.20833333333333331, -1. / 12, -1. / 6, 0.125, -0.5});
}

// What is compared over networks: neither smoothed nor weighted.
TEST(Losses, EvaluationIsPlain) {
  reference::Inputs plain = inputs(), weighted = inputs(Third::kWeights), taught = inputs(Third::kTeacher);
  plain.mode = weighted.mode = taught.mode = Mode::kEval;
  const double wanted = reference::forward(SoftmaxCrossEntropy(), inputs()).control[kLossSum];
  EXPECT_EQ(reference::forward(SoftmaxCrossEntropy(0.3), plain).control[kLossSum], wanted);
  EXPECT_EQ(reference::forward(SoftmaxCrossEntropy(0.3), weighted).control[kLossSum], wanted);
  EXPECT_EQ(reference::forward(Distillation(0.9, 4, 0.3), taught).control[kLossSum], wanted);
}

}  // namespace
}  // namespace convoy
