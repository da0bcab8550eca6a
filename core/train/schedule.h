// Learning-rate schedules: pure functions of the step, so that resuming needs only the step number.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace convoy {

using Schedule = std::function<float(int64_t step)>;

// "Fraction" is of learning_rate.  In brackets: what torch.optim.lr_scheduler calls it.
struct ScheduleOptions {
  enum class Type : uint8_t {
    kConstant,
    kStep,         // times gamma every step_steps (StepLR)
    kMultistep,    // times gamma at each of `milestones` (MultiStepLR)
    kExponential,  // times gamma in step_steps, smoothly (ExponentialLR where it has steps)
    kPolynomial,   // from start to final fraction by (1 - share done)^power; power 1: a straight line (PolynomialLR)
    kCosine,   // likewise by half a cosine (CosineAnnealingLR); with restart_steps again and again (…WarmRestarts)
    kOneCycle  // by half a cosine from start fraction to 1 in `rise` of all steps, then to final fraction (OneCycleLR)
  } type = Type::kConstant;
  float learning_rate = 0;
  int64_t total_steps = 0;  // of the whole, warm-up included; polynomial, cosine and one-cycle end here
  int64_t step_steps = 0;
  float gamma = 0.1F;
  std::vector<int64_t> milestones = {};  // steps after warm-up, rising
  float start_fraction = 1, final_fraction = 0;
  float power = 1;
  int64_t restart_steps = 0;  // length of the first cosine; 0: one for all steps
  int restart_factor = 1;     // length of each next one, times the one before
  float rise = 0.3F;
  int64_t warmup_steps = 0;  // linear from warmup_start * learning_rate; the shape after it starts at its end
  float warmup_start = 0;
};

// Step 0 of a warm-up already moves: it uses the rate at the end of that step, (step + 1) / warmup_steps.
Schedule make_schedule(const ScheduleOptions& options);

// One after another, each from its own step 0; the last one goes on for ever, whatever its `steps`.
struct SchedulePhase {
  Schedule schedule;
  int64_t steps = 0;
};
Schedule in_sequence(std::vector<SchedulePhase> phases);

}  // namespace convoy
