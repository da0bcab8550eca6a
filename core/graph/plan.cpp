#include "core/graph/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace convoy {
namespace {

bool all_finite(const Tensor& tensor, Device& device) {
  const Buffer copy(device.host_allocator(), tensor.type.bytes());
  device.copy(copy.data(), tensor.data, copy.bytes(), device.compute());
  device.compute().synchronize();
  const auto finite = [&](auto* elements, auto to_f32) {
    return std::ranges::all_of(elements, elements + copy.bytes() / static_cast<int64_t>(sizeof *elements),
                               [&](auto element) { return std::isfinite(to_f32(element)); });
  };
  switch (tensor.type.dtype) {
    case Dtype::kF32: return finite(copy.as<float>(), [](float element) { return element; });
    case Dtype::kBF16: return finite(copy.as<uint16_t>(), bf16_to_f32);
    case Dtype::kF16: return finite(copy.as<uint16_t>(), f16_to_f32);
    default: return true;
  }
}

}  // namespace

void Plan::run() const {
  for (const Step& step : steps_) {
    step.run();
    between_steps();
  }
}

std::string Plan::run_checked(Device& device) const {
  std::string first;
  for (const Step& step : steps_) {
    step.run();
    between_steps();
    for (const Tensor& output : step.outputs) {
      if (first.empty() && output && !all_finite(output, device)) first = step.name;
    }
  }
  return first;
}

std::string Plan::table() const {
  constexpr size_t kNameWidth = 44;
  char text[64];
  std::snprintf(text, sizeof text, "%4s  %-*s", "#", static_cast<int>(kNameWidth), "step");
  std::string table = text;
  std::snprintf(text, sizeof text, " %10s %9s  %s\n", "MFLOP", "MiB", "output and engine");
  table += text;
  for (size_t i = 0; i < steps_.size(); ++i) {  // names and details may be of any length
    const Step& step = steps_[i];
    std::snprintf(text, sizeof text, "%4zu  ", i);
    table += text + step.name + std::string(kNameWidth - std::min(kNameWidth, step.name.size()), ' ');
    std::snprintf(text, sizeof text, " %10.2f %9.2f  ", static_cast<double>(step.flops) / 1e6,
                  static_cast<double>(step.bytes) / (1 << 20));
    table += text + step.detail + "\n";
  }
  return table;
}

}  // namespace convoy
