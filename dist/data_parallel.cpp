#include "dist/data_parallel.h"

#include <algorithm>
#include <ranges>
#include <string>

namespace convoy {
namespace {

constexpr int64_t kGapAtMost = 127;  // elements between two slots

// The lowest element from which on everything up to `end` is final; `ranges` are final, sorted by falling end.
int64_t frontier_below(int64_t end, std::vector<std::pair<int64_t, int64_t>>& ranges) {
  std::ranges::sort(ranges, std::greater{}, [](const auto& range) { return range.second; });
  while (!ranges.empty() && ranges.front().second + kGapAtMost >= end) {
    end = ranges.front().first;
    ranges.erase(ranges.begin());
  }
  return end;
}

Step simple_step(std::string name, std::function<void()> run, int64_t bytes) {
  Step step;
  step.name = std::move(name);
  step.run = std::move(run);
  step.bytes = bytes;
  return step;
}

int64_t bytes_of(int64_t elements) { return elements * size_of(Dtype::kF32); }

Step add_accumulated(Parameters& parameters, FlatOps& ops, Stream& compute, int64_t begin, int64_t end) {
  float* gradients = parameters.gradients() + begin;
  const float* accumulated = parameters.accumulated() + begin;
  return simple_step(
      "gradients += accumulated", [=, &ops, &compute] { ops.add(gradients, accumulated, end - begin, compute); },
      3 * bytes_of(end - begin));
}

Step reduce(const GradientBucket& bucket, size_t index, Parameters& parameters, Stream& compute,
            Communicator& communicator) {
  const auto elements = static_cast<int>(bucket.end - bucket.begin);
  const Tensor slice{parameters.gradients() + bucket.begin, {{1, 1, 1, elements}}};
  Step step = simple_step(
      "reduce bucket " + std::to_string(index),
      [=, &compute, &communicator] {
        communicator.stream().wait_for(compute);
        communicator.all_reduce_sum(slice);
      },
      bytes_of(elements));
  step.communicates = true;
  step.detail = "gradients [" + std::to_string(bucket.begin) + ", " + std::to_string(bucket.end) + ")";
  return step;
}

void add_reduction(Plan& plan, bool accumulates, Parameters& parameters, FlatOps& ops, Stream& compute,
                   Communicator& communicator, const BucketPolicy& policy) {
  const std::vector<GradientBucket> buckets = cut_buckets(plan, parameters, policy);
  for (size_t i = buckets.size(); i-- > 0;) {  // from the last, so that earlier positions stay true
    const GradientBucket& bucket = buckets[i];
    plan.insert(bucket.ready_after + 1, reduce(bucket, i, parameters, compute, communicator));
    const int64_t end = std::min(bucket.end, parameters.trainable_elements());
    if (accumulates && end > bucket.begin) {
      plan.insert(bucket.ready_after + 1, add_accumulated(parameters, ops, compute, bucket.begin, end));
    }
  }
  plan.append(simple_step(
      kJoinStep, [&compute, &communicator] { compute.wait_for(communicator.stream()); }, 0));
  plan.set_between_steps([&communicator] { communicator.progress(); });
}

}  // namespace

std::vector<GradientBucket> cut_buckets(const Plan& plan, const Parameters& parameters, const BucketPolicy& policy) {
  const std::vector<Step>& steps = plan.steps();
  CHECK(!steps.empty());
  std::vector<GradientBucket> buckets;
  std::vector<std::pair<int64_t, int64_t>> final_ranges;
  int64_t cut = parameters.reduced_elements();         // everything from here on is in a bucket
  int64_t frontier = parameters.trainable_elements();  // everything from here on is final, once backward has begun
  for (size_t i = 0; policy.overlap && i + 1 < steps.size(); ++i) {
    if (steps[i].gradient_end == 0) continue;
    final_ranges.emplace_back(steps[i].gradient_begin, steps[i].gradient_end);
    frontier = frontier_below(frontier, final_ranges);
    const int64_t wanted = buckets.empty() ? policy.first_bytes : policy.bytes;
    if (frontier >= parameters.trainable_elements() || bytes_of(cut - frontier) < wanted) continue;
    buckets.push_back({frontier, cut, i});
    cut = frontier;
  }
  if (cut > 0) buckets.push_back({0, cut, steps.size() - 1});
  return buckets;
}

Plan make_pass(Plan plan, PassPosition position, Parameters& parameters, FlatOps& ops, Stream& compute,
               Communicator& communicator, const BucketPolicy& policy) {
  const int64_t trainable = parameters.trainable_elements();
  if (position.last && communicator.size() > 1) {
    add_reduction(plan, !position.first, parameters, ops, compute, communicator, policy);
  } else if (position.last && !position.first) {
    plan.append(add_accumulated(parameters, ops, compute, 0, trainable));
  } else if (!position.last) {
    float* accumulated = parameters.accumulated();
    const float* gradients = parameters.gradients();
    if (position.first) {
      plan.append(simple_step(
          "accumulated = gradients", [=, &ops, &compute] { ops.copy(accumulated, gradients, trainable, compute); },
          2 * bytes_of(trainable)));
    } else {
      plan.append(simple_step(
          "accumulated += gradients", [=, &ops, &compute] { ops.add(accumulated, gradients, trainable, compute); },
          3 * bytes_of(trainable)));
    }
  }
  if (position.first) {
    const int64_t elements = parameters.reduced_elements() - trainable;
    plan.insert(0, simple_step(
                       "clear statistics and control",
                       [=, &parameters, &ops, &compute] { ops.clear(parameters.batch_state(), elements, compute); },
                       bytes_of(elements)));
  }
  return plan;
}

}  // namespace convoy
