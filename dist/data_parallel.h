// Data parallelism: one function that inserts reduction steps into the list of a pass.  One rank never sees it.
//
// A rank runs its share of the micro-batches of a global step one after the other.  Each is a pass: the same forward
// and backward steps, with a few more around them that depend on whether it is the rank's first and last of the step.
#pragma once

#include <optional>
#include <vector>

#include "core/graph/parameters.h"
#include "core/graph/plan.h"
#include "core/train/flat_ops.h"
#include "core/train/optimizer.h"
#include "dist/communicator.h"
#include "dist/exchange_clock.h"

namespace convoy {

// A slice [begin, end) of the gradient buffer, in elements, that travels as one.
struct GradientBucket {
  int64_t begin = 0, end = 0;
  size_t ready_after = 0;  // index of the step after which all of it is final
};

// How long a sum over all ranks takes: latency + bytes / bytes_per_second.
struct SumTime {
  double latency = 0;  // seconds
  double bytes_per_second = 0;
};

struct BucketPolicy {
  int64_t bytes = int64_t{25} << 20;  // a bucket leaves when it has so many
  // Before the last gradients are there, what has come leaves if it has so many, so that little is left to wait for.
  int64_t last_bytes = int64_t{1} << 20;
  bool by_time = false;                  // the two are still to be measured, cut_by()
  std::optional<SumTime> sum_time = {};  // that they were cut by
  bool overlap = true;                   // false: no bucket before the last step
  // As what gradients travel.  f32: in place.  bf16: half the bytes, through a copy; every sum is rounded to bf16.
  Dtype dtype = Dtype::kF32;
  // bf16: each rank adds what rounding took from its gradients to those of the next step (error feedback: Seide et al.
  // 2014, Interspeech; Karimireddy et al. 2019, arXiv:1901.09847).
  bool error_feedback = false;
  // More than 1: every rank updates its own copy with its own gradients, and in so many steps once all go on from the
  // mean of their copies (local SGD: Stich 2019, arXiv:1805.09767).  Passes then sum statistics and control only.
  int64_t average_every = 1;
  bool averages() const { return average_every > 1; }
  // Every rank gets the sum of its part of each bucket only, and updates that (ZeRO stage 1: Rajbhandari et al. 2020,
  // arXiv:1910.02054).
  bool sharded = false;
};

// Cuts buckets by time: each takes ten times the latency, and what leaves last twice.
void cut_by(const SumTime& time, BucketPolicy& policy);

// Collective, the same on all ranks: of sums in place in memory of the communicator that it allocates, and frees.
SumTime measure_sum(Communicator& communicator);

// Cuts [0, reduced_elements) from its end, the order in which backward fills it.  What lies behind the trainable
// parameters (batch-norm statistics, control block) is final after the forward pass and travels with the first bucket,
// but where gradients travel as bf16, since counts must stay exact, or are sharded, since all ranks need it: then it is
// a bucket of its own.
std::vector<GradientBucket> cut_buckets(const Plan& plan, const Parameters& parameters, const BucketPolicy& policy);

// Where policy.sharded: makes this rank the owner of its part of each bucket, and returns the buckets that are cut so.
std::vector<ElementRange> share_updates(const Plan& plan, Parameters& parameters, const BucketPolicy& policy,
                                        const RankGroup& group);

// What the steps of a plan run on.  All must outlive it.
struct Executors {
  FlatOps& ops;
  Stream& compute;
  Communicator& communicator;
  const ExchangeClock* clock = nullptr;  // for all buckets; null: exchanges are not timed
};

struct PassPosition {
  bool first = true, last = true;  // of the rank's micro-batches of this step
};

// Turns the steps of a program into a pass:
//   each        has what its steps gather exchanged by all ranks behind them: they run as many passes each
//   first       clears the batch-norm statistics, the control block and the clock
//   not last    adds the gradients to the accumulated ones
//   last        adds the accumulated ones to the gradients, bucket by bucket, and sums each bucket over all ranks while
//               the steps behind it run; at its end it waits for them one by one, and where gradients travel as bf16,
//               makes them f32
// All arguments must outlive the plan.  Collective where there are several ranks and gradients travel as bf16: the copy
// is memory of the communicator.
Plan make_pass(Plan steps, PassPosition position, Parameters& parameters, const Executors& on,
               const BucketPolicy& policy);

// Appends the optimizer's step.  Where ranks do not have the same gradients, because they average copies or have parts
// of them, `shards` of share_updates(), they tell each other before it what they found in theirs; with `shards` behind
// it what they made of their values.
void append_update(Plan& plan, const BucketPolicy& policy, const std::vector<ElementRange>& shards,
                   Optimizer& optimizer, Parameters& parameters, const StepScalars* scalars, const Executors& on);

// Steps in which each of these, f32, becomes its mean over all ranks.
Plan average_over_ranks(const std::vector<Tensor>& tensors, const Executors& on);

// Appends steps in which every rank's part of each shard of `flat` goes to all ranks.
void append_gathers(Plan& plan, float* flat, const std::vector<ElementRange>& shards, const Executors& on);

}  // namespace convoy
