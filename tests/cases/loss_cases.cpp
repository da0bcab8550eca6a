#include "core/device/target.h"
#include "layers/class_losses.h"
#include "layers/softmax_cross_entropy.h"
#include "tests/cases/case_parts.h"

namespace convoy {
namespace {

std::vector<Shape> on(int rows, int classes) { return {{rows, 1, 1, classes}, targets_shape(rows)}; }
std::vector<Shape> weighted(int rows, int classes) {
  return {{rows, 1, 1, classes}, targets_shape(rows), {1, 1, 1, classes}};
}

std::vector<Shape> taught(int rows, int classes) {
  return {{rows, 1, 1, classes}, targets_shape(rows), {rows, 1, 1, classes}};
}

// Each loss on the same sizes.
void add_cases(const std::string& name, const std::function<std::unique_ptr<Layer>()>& loss,
               std::vector<Shape> (*inputs)(int rows, int classes), Cases& cases) {
  const Cases more = {
      {.name = name, .layer = loss, .inputs = inputs(8, 10), .scalars = {.one_over_global_rows = 0.125F}},
      {.name = name + "_padded_rows",
       .layer = loss,
       .inputs = inputs(7, 33),
       .scalars = {.one_over_global_rows = 1.0F / 60, .valid_rows = 4},
       .loss_scale = 1024},
      {.name = name + "_two_classes", .layer = loss, .inputs = inputs(5, 2)},
      {.name = name + "_one_class", .layer = loss, .inputs = inputs(3, 1)},
      {.name = name + "_one_row", .layer = loss, .inputs = inputs(1, 1000)},
      {.name = name + "_large_logits", .layer = loss, .inputs = inputs(16, 17), .std = 60},
      {.name = name + "_huge_logits", .layer = loss, .inputs = inputs(16, 17), .std = 5770},  // up to 10,000
      {.name = name + "_eval",
       .layer = loss,
       .inputs = inputs(6, 10),
       .mode = Mode::kEval,
       .scalars = {.valid_rows = 5}},
      {.name = name + "_eval_wide", .layer = loss, .inputs = inputs(40, 12), .mode = Mode::kEval},
  };
  cases.insert(cases.end(), more.begin(), more.end());
}

}  // namespace

Cases loss_cases() {
  Cases cases;
  add_cases("softmax_cross_entropy", make<SoftmaxCrossEntropy>(), on, cases);
  add_cases("softmax_cross_entropy_smoothed", make<SoftmaxCrossEntropy>(0.1), on, cases);
  add_cases("softmax_cross_entropy_weighted", make<SoftmaxCrossEntropy>(), weighted, cases);
  add_cases("softmax_cross_entropy_weighted_smoothed", make<SoftmaxCrossEntropy>(0.3), weighted, cases);
  add_cases("distillation", make<Distillation>(0.9, 4), taught, cases);
  add_cases("distillation_smoothed", make<Distillation>(0.25, 1, 0.1), taught, cases);
  add_cases("binary_cross_entropy", make<BinaryCrossEntropy>(), on, cases);
  add_cases("binary_cross_entropy_smoothed", make<BinaryCrossEntropy>(0.1), on, cases);
  add_cases("mean_squared_error", make<MeanSquaredError>(), on, cases);
  cases.push_back({"softmax_cross_entropy_threads", make<SoftmaxCrossEntropy>(), on(64, 600)});
  cases.push_back({"binary_cross_entropy_threads", make<BinaryCrossEntropy>(0.1), on(64, 600)});
  const LayerCase benchmarks[] = {
      {"softmax_cross_entropy_imagenet", make<SoftmaxCrossEntropy>(), on(32, 1000)},
      {"softmax_cross_entropy_smoothed_imagenet", make<SoftmaxCrossEntropy>(0.1), on(32, 1000)},
      {"binary_cross_entropy_imagenet", make<BinaryCrossEntropy>(), on(32, 1000)},
  };
  for (const LayerCase& it : benchmarks) cases.emplace_back(it).benchmark = true;
  return cases;
}

}  // namespace convoy
