#include "dist/data_parallel.h"

#include <algorithm>
#include <ranges>
#include <string>

#include "dist/collective_queue.h"

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

// The step behind which only one more makes gradients.
size_t last_but_one(const std::vector<Step>& steps) {
  size_t last = 0, before = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].gradient_end == 0) continue;
    before = last;
    last = i;
  }
  return before;
}

Step simple_step(std::string name, std::function<void()> run, int64_t bytes) {
  Step step;
  step.name = std::move(name);
  step.run = std::move(run);
  step.bytes = bytes;
  return step;
}

int64_t bytes_of(int64_t elements) { return elements * size_of(Dtype::kF32); }

Step add_accumulated(Parameters& parameters, int64_t begin, int64_t end, const Executors& on) {
  float* gradients = parameters.gradients() + begin;
  const float* accumulated = parameters.accumulated() + begin;
  return simple_step(
      "gradients += accumulated", [=] { on.ops.add(gradients, accumulated, end - begin, on.compute); },
      3 * bytes_of(end - begin));
}

// Conversions run on the compute stream, where kernels of any device may run: that of a communicator may be the host's.
Step to_bf16(const GradientBucket& bucket, size_t index, bool feedback, Parameters& parameters, const Executors& on) {
  float* const from = parameters.gradients() + bucket.begin;
  uint16_t* const to = parameters.bf16_gradients() + bucket.begin;
  float* const lost = feedback ? parameters.rounded_off() + bucket.begin : nullptr;
  const int64_t elements = bucket.end - bucket.begin;
  Step step = simple_step(
      "to bf16 bucket " + std::to_string(index),
      [=] {
        if (feedback) on.ops.add(from, lost, elements, on.compute);
        on.ops.convert(to, Dtype::kBF16, from, Dtype::kF32, elements, on.compute);
        if (!feedback) return;
        on.ops.convert(lost, Dtype::kF32, to, Dtype::kBF16, elements, on.compute);
        on.ops.combine(lost, 1, from, -1, elements, on.compute);
      },
      elements * (size_of(Dtype::kF32) * (feedback ? 8 : 1) + size_of(Dtype::kBF16) * (feedback ? 2 : 1)));
  step.bucket = static_cast<int>(index);
  return step;
}

// Of a bucket, what this rank updates.
Step from_bf16(const GradientBucket& bucket, size_t index, Parameters& parameters, const Executors& on) {
  float* to = parameters.gradients();
  const uint16_t* from = parameters.bf16_gradients();
  std::vector<ElementRange> own;
  int64_t elements = 0;
  for (const ElementRange& part : parameters.own().parts) {
    const ElementRange common{std::max(part.begin, bucket.begin), std::min(part.end, bucket.end)};
    if (common.size() <= 0) continue;
    own.push_back(common);
    elements += common.size();
  }
  Step step = simple_step(
      "from bf16 bucket " + std::to_string(index),
      [=] {
        for (const auto& [begin, end] : own) {
          on.ops.convert(to + begin, Dtype::kF32, from + begin, Dtype::kBF16, end - begin, on.compute);
        }
      },
      elements * (size_of(Dtype::kF32) + size_of(Dtype::kBF16)));
  step.bucket = static_cast<int>(index);
  return step;
}

// A collective, and the wait for it, which may stand further behind.
struct Exchange {
  Step begin, join;
};

using Time = ExchangeClock::Times;

template <class Work>
void timed(const Executors& on, int64_t Time::*as, int bucket, Stream& stream, const Work& work) {
  if (on.clock == nullptr) return work();
  on.clock->add(as, bucket, stream, work);
}

Exchange exchange(std::string name, void (Communicator::*collective)(Tensor), Tensor tensor, int bucket,
                  const Executors& on) {
  const std::shared_ptr<Event> end = on.communicator.make_event();
  const bool capturable = on.communicator.capturable();
  const auto give = [=] {
    Stream& stream = on.communicator.stream();
    stream.wait_for(on.compute);
    timed(on, &Time::busy, bucket, stream, [&] { (on.communicator.*collective)(tensor); });
    end->record(stream);
  };
  Exchange steps;
  steps.begin = simple_step(
      std::move(name),
      [=] {
        if (capturable) return give();
        timed(on, &Time::exposed, bucket, on.compute, give);  // the host takes part and gives compute nothing else
      },
      tensor.type.bytes());
  steps.begin.communicates = true;
  steps.join = simple_step(
      "join", [=] { timed(on, &Time::exposed, bucket, on.compute, [&] { on.compute.wait_until(*end); }); }, 0);
  steps.join.waits = true;
  steps.begin.capturable = steps.join.capturable = capturable;
  steps.begin.bucket = steps.join.bucket = bucket;
  return steps;
}

std::string slice_text(const char* buffer, int64_t begin, int64_t end) {
  return std::string(buffer) + " [" + std::to_string(begin) + ", " + std::to_string(end) + ") ";
}

Exchange reduce(const GradientBucket& bucket, size_t index, bool scatters, Tensor slice, const Executors& on) {
  Exchange steps = exchange((scatters ? "reduce_scatter bucket " : "reduce bucket ") + std::to_string(index),
                            scatters ? &Communicator::reduce_scatter_sum : &Communicator::all_reduce_sum, slice,
                            static_cast<int>(index), on);
  steps.begin.detail = slice_text("gradients", bucket.begin, bucket.end) + to_string(slice.type.dtype);
  steps.join.name += " bucket " + std::to_string(index);
  return steps;
}

void exchange_statistics(Plan& plan, const Executors& on) {
  for (size_t i = plan.steps().size(); i-- > 0;) {  // from the last, so that earlier positions stay true
    const Tensor gathered = plan.steps()[i].gathered;
    if (!gathered) continue;
    Exchange steps = exchange("all_gather " + plan.steps()[i].name, &Communicator::all_gather, gathered, kNoBucket, on);
    plan.insert(i + 1, std::move(steps.join));
    plan.insert(i + 1, std::move(steps.begin));
  }
}

void add_reduction(Plan& plan, bool accumulates, Parameters& parameters, const Executors& on,
                   const BucketPolicy& policy) {
  const std::vector<GradientBucket> buckets = cut_buckets(plan, parameters, policy);
  const int64_t trainable = parameters.trainable_elements();
  const bool narrow = policy.dtype == Dtype::kBF16 && trainable > 0;
  std::vector<Step> joins(buckets.size());
  for (size_t i = buckets.size(); i-- > 0;) {  // from the last, so that earlier positions stay true
    const GradientBucket& bucket = buckets[i];
    const size_t position = bucket.ready_after + 1;
    const bool holds_gradients = bucket.begin < trainable;
    Tensor slice{parameters.gradients() + bucket.begin, {{1, 1, 1, static_cast<int>(bucket.end - bucket.begin)}}};
    if (narrow && holds_gradients) {
      slice = {parameters.bf16_gradients() + bucket.begin, {slice.type.shape, Dtype::kBF16}};
    }
    Exchange steps = reduce(bucket, i, policy.sharded && holds_gradients, slice, on);
    joins[i] = std::move(steps.join);
    plan.insert(position, std::move(steps.begin));
    if (narrow && holds_gradients) plan.insert(position, to_bf16(bucket, i, policy.error_feedback, parameters, on));
    const int64_t end = std::min(bucket.end, trainable);
    if (accumulates && end > bucket.begin) {
      plan.insert(position, add_accumulated(parameters, bucket.begin, end, on));
    }
  }
  if (policy.averages() && accumulates) plan.append(add_accumulated(parameters, 0, trainable, on));
  for (size_t i = 0; i < buckets.size(); ++i) {
    plan.append(std::move(joins[i]));
    if (narrow && buckets[i].begin < trainable) plan.append(from_bf16(buckets[i], i, parameters, on));
  }
  plan.set_between_steps([&communicator = on.communicator] { communicator.progress(); });
}

}  // namespace

std::vector<GradientBucket> cut_buckets(const Plan& plan, const Parameters& parameters, const BucketPolicy& policy) {
  const std::vector<Step>& steps = plan.steps();
  CHECK(!steps.empty());
  CHECK(policy.dtype == Dtype::kF32 || policy.dtype == Dtype::kBF16, "gradients travel as f32 or bf16");
  const int64_t trainable = parameters.trainable_elements();
  if (policy.averages()) {
    const auto first = std::ranges::find_if(steps, [](const Step& step) { return step.gradient_end > 0; });
    const auto ready_after = std::min<size_t>(static_cast<size_t>(first - steps.begin()), steps.size() - 1);
    return {{trainable, parameters.reduced_elements(), ready_after}};
  }
  std::vector<GradientBucket> buckets;
  std::vector<std::pair<int64_t, int64_t>> final_ranges;
  int64_t cut = parameters.reduced_elements();  // everything from here on is in a bucket
  int64_t frontier = trainable;                 // everything from here on is final, once backward has begun
  const size_t before_last = last_but_one(steps);
  for (size_t i = 0; policy.overlap && i + 1 < steps.size(); ++i) {
    if (steps[i].gradient_end == 0) continue;
    final_ranges.emplace_back(steps[i].gradient_begin, steps[i].gradient_end);
    frontier = frontier_below(frontier, final_ranges);
    const int64_t wanted = i < before_last ? policy.bytes : std::min(policy.last_bytes, policy.bytes);
    if (frontier >= trainable || (cut - frontier) * size_of(policy.dtype) < wanted) continue;
    buckets.push_back({frontier, cut, i});
    cut = frontier;
  }
  if (cut > 0) buckets.push_back({0, cut, steps.size() - 1});
  GradientBucket& first = buckets.front();
  if ((policy.dtype != Dtype::kF32 || policy.sharded) && first.begin < trainable) {
    first.end = trainable;
    buckets.insert(buckets.begin(), {trainable, parameters.reduced_elements(), first.ready_after});
  }
  return buckets;
}

std::vector<ElementRange> share_updates(const Plan& plan, Parameters& parameters, const BucketPolicy& policy,
                                        const RankGroup& group) {
  std::vector<ElementRange> buckets;
  if (!policy.sharded) return buckets;
  Ownership own{{}, group.rank(), group.size()};
  for (const GradientBucket& bucket : cut_buckets(plan, parameters, policy)) {
    if (bucket.begin >= parameters.trainable_elements()) continue;
    buckets.push_back({bucket.begin, bucket.end});
    const ElementRange part = part_of_rank(own.rank, own.ranks, bucket.end - bucket.begin);
    own.parts.push_back({bucket.begin + part.begin, bucket.begin + part.end});
  }
  parameters.set_own(std::move(own));
  return buckets;
}

Plan make_pass(Plan plan, PassPosition position, Parameters& parameters, const Executors& on,
               const BucketPolicy& policy) {
  const int64_t trainable = parameters.trainable_elements();
  exchange_statistics(plan, on);
  if (position.last && on.communicator.size() > 1) {
    add_reduction(plan, !position.first, parameters, on, policy);
  } else if (position.last && !position.first) {
    plan.append(add_accumulated(parameters, 0, trainable, on));
  } else if (!position.last) {
    float* accumulated = parameters.accumulated();
    const float* gradients = parameters.gradients();
    if (position.first) {
      plan.append(simple_step(
          "accumulated = gradients", [=] { on.ops.copy(accumulated, gradients, trainable, on.compute); },
          2 * bytes_of(trainable)));
    } else {
      plan.append(simple_step(
          "accumulated += gradients", [=] { on.ops.add(accumulated, gradients, trainable, on.compute); },
          3 * bytes_of(trainable)));
    }
  }
  if (position.first) {
    const int64_t elements = parameters.reduced_elements() - trainable;
    plan.insert(0, simple_step(
                       "clear statistics and control",
                       [=, &parameters] {
                         on.ops.clear(parameters.batch_state(), elements, on.compute);
                         if (on.clock != nullptr) on.clock->clear(on.compute);
                       },
                       bytes_of(elements)));
  }
  return plan;
}

void append_update(Plan& plan, const BucketPolicy& policy, const std::vector<ElementRange>& shards,
                   Optimizer& optimizer, Parameters& parameters, const StepScalars* scalars, const Executors& on) {
  const auto append = [&plan](const char* name, int64_t bytes, std::function<void()> run) {
    plan.append(simple_step(name, std::move(run), bytes));
  };
  const int64_t own = bytes_of(parameters.own().elements());
  const int64_t updated = own * (3 + 2 * std::ssize(optimizer.state()));  // reads gradients; reads and writes the rest
  if (shards.empty() && !policy.averages()) {
    append("optimizer", updated, [=, &optimizer, &parameters] { optimizer.step(parameters, scalars, on.compute); });
    return;
  }
  append("check gradients", own, [=, &optimizer, &parameters] { optimizer.check_gradients(parameters, on.compute); });
  Step join;  // with the last, all others are back too
  for (const Tensor& found : optimizer.checked(parameters)) {
    Exchange steps = exchange("all_reduce checks", &Communicator::all_reduce_sum, found, kNoBucket, on);
    plan.append(std::move(steps.begin));
    join = std::move(steps.join);
  }
  plan.append(std::move(join));
  append("optimizer", updated, [=, &optimizer, &parameters] { optimizer.apply(parameters, scalars, on.compute); });
  if (shards.empty()) return;
  append_gathers(plan, parameters.values(), shards, on);
  if (parameters.shadow() == nullptr) return;
  const int64_t shadow = parameters.trainable_elements() * (size_of(Dtype::kF32) + size_of(parameters.shadow_dtype()));
  append("shadow of values", shadow, [=, &parameters] {
    on.ops.convert(parameters.shadow(), parameters.shadow_dtype(), parameters.values(), Dtype::kF32,
                   parameters.trainable_elements(), on.compute);
  });
}

Plan average_over_ranks(const std::vector<Tensor>& tensors, const Executors& on) {
  Plan plan;
  Step join;
  const float share = 1.0F / static_cast<float>(on.communicator.size());
  for (const Tensor& tensor : tensors) {
    const int64_t elements = tensor.type.shape.elements();
    plan.append(simple_step(
        "own share of the mean",
        [=] { on.ops.combine(tensor.as<float>(), share, tensor.as<float>(), 0, elements, on.compute); },
        2 * bytes_of(elements)));
    Exchange steps = exchange("all_reduce mean", &Communicator::all_reduce_sum, tensor, kNoBucket, on);
    plan.append(std::move(steps.begin));
    join = std::move(steps.join);
  }
  plan.append(std::move(join));
  plan.set_between_steps([&communicator = on.communicator] { communicator.progress(); });
  return plan;
}

void append_gathers(Plan& plan, float* flat, const std::vector<ElementRange>& shards, const Executors& on) {
  Step join;
  for (const auto& [begin, end] : shards) {
    const Tensor slice{flat + begin, {{1, 1, 1, static_cast<int>(end - begin)}}};
    Exchange steps = exchange("all_gather", &Communicator::all_gather, slice, kNoBucket, on);
    steps.begin.detail = slice_text("elements", begin, end) + to_string(slice.type.dtype);
    plan.append(std::move(steps.begin));
    join = std::move(steps.join);
  }
  plan.append(std::move(join));
}

}  // namespace convoy
