// Learning-rate schedules: pure functions of the step, so that resuming needs only the step number.
#pragma once

#include <cstdint>
#include <functional>

namespace convoy {

using Schedule = std::function<float(int64_t step)>;

struct ScheduleOptions {
  enum class Type : uint8_t { kConstant, kStep, kCosine } type = Type::kConstant;
  float learning_rate = 0;
  int64_t total_steps = 0;  // of the run, warm-up included; cosine ends here
  int64_t step_steps = 0;   // kStep: multiply by gamma every so many steps
  float gamma = 0.1F;
  float final_fraction = 0;  // kCosine: where it ends, as a fraction of learning_rate
  int64_t warmup_steps = 0;  // linear from warmup_start * learning_rate; the shape after it starts at its end
  float warmup_start = 0;
};

// Step 0 of a warm-up already moves: it uses the rate at the end of that step, (step + 1) / warmup_steps.
Schedule make_schedule(const ScheduleOptions& options);

}  // namespace convoy
