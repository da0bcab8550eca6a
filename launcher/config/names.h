// The words of each choice in an experiment, in the order of its enumeration.
#pragma once

#include <array>
#include <string_view>

#include "launcher/config/experiment.h"

namespace convoy {

constexpr std::array<std::string_view, 6> names_of(DataFormat) {
  return {"idx", "npy", "npz", "cifar", "images", "synthetic"};
}
constexpr std::array<std::string_view, 2> names_of(FrozenBatchNorm) { return {"inference", "train"}; }
constexpr std::array<std::string_view, 3> names_of(CropType) { return {"random_resized", "centre", "stretch"}; }
constexpr std::array<std::string_view, 3> names_of(AugmentPolicy) { return {"none", "randaugment", "trivialaugment"}; }
constexpr std::array<std::string_view, 2> names_of(ChannelOrder) { return {"rgb", "bgr"}; }
constexpr std::array<std::string_view, 2> names_of(Sharding) { return {"shared", "local"}; }
constexpr std::array<std::string_view, 2> names_of(OnError) { return {"fail", "skip"}; }
constexpr std::array<std::string_view, 3> names_of(DataCache) { return {"none", "ram", "device"}; }
constexpr std::array<std::string_view, 1> names_of(LastBatch) { return {"drop"}; }
constexpr std::array<std::string_view, 3> names_of(LossType) {
  return {"softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error"};
}
constexpr std::array<std::string_view, 1> names_of(NonFinitePolicy) { return {"stop"}; }
constexpr std::array<std::string_view, 7> names_of(OptimizerType) {
  return {"sgd", "adam", "adamw", "rmsprop", "lars", "lamb", "muon"};
}
constexpr std::array<std::string_view, 7> names_of(ScheduleType) {
  return {"constant", "step", "multistep", "exponential", "polynomial", "cosine", "one_cycle"};
}
constexpr std::array<std::string_view, 2> names_of(Metric) { return {"loss", "accuracy"}; }
constexpr std::array<std::string_view, 2> names_of(ThresholdMode) { return {"rel", "abs"}; }
constexpr std::array<std::string_view, 3> names_of(DeviceChoice) { return {"auto", "cpu", "cuda"}; }
constexpr std::array<std::string_view, 4> names_of(Transport) {
  return {"auto", "shared", "hierarchical", "progress_thread"};
}
constexpr std::array<std::string_view, 4> names_of(ProgressStyle) { return {"auto", "bar", "plain", "none"}; }
constexpr std::array<std::string_view, 4> names_of(Precision) { return {"auto", "f32", "bf16", "f16"}; }
constexpr std::array<std::string_view, 3> names_of(Recompute) { return {"none", "blocks", "auto"}; }
constexpr std::array<std::string_view, 3> names_of(CudaGraph) { return {"auto", "on", "off"}; }
constexpr std::array<std::string_view, 2> names_of(Dtype) { return {"f32", "bf16"}; }  // those gradients travel as

}  // namespace convoy
