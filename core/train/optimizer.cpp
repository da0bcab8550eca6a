#include "core/train/optimizer.h"

#include <algorithm>

namespace convoy {

bool matches_glob(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') {
    return matches_glob(pattern.substr(1), text) || (!text.empty() && matches_glob(pattern, text.substr(1)));
  }
  if (text.empty() || (pattern.front() != '?' && pattern.front() != text.front())) return false;
  return matches_glob(pattern.substr(1), text.substr(1));
}

namespace {

// State that moves on alike.  The gap between two slots holds zeros, and stays so.
struct StateRange {
  int64_t begin, end;
  float momentum;
};

std::vector<StateRange> state_ranges(const Parameters& parameters) {
  std::vector<StateRange> ranges;
  for (const StateSlot& slot : parameters.state_slots()) {
    if (slot.momentum == 0) continue;  // stands still
    if (ranges.empty() || ranges.back().momentum != slot.momentum) ranges.push_back({slot.offset, 0, slot.momentum});
    ranges.back().end = slot.offset + slot.elements();
  }
  return ranges;
}

// What of `ranges` lies in `parts`, whose state lies one part behind the other.
std::vector<UpdateRange> cut(const std::vector<UpdateRange>& ranges, const std::vector<ElementRange>& parts) {
  std::vector<UpdateRange> result;
  int64_t before = 0;  // elements of earlier parts
  for (const ElementRange& part : parts) {
    for (UpdateRange range : ranges) {
      if (range.end <= part.begin || range.begin >= part.end) continue;
      CHECK(range.rows == 0 || (range.begin >= part.begin && range.end <= part.end), "a matrix is updated as a whole");
      range.begin = std::max(range.begin, part.begin);
      range.end = std::min(range.end, part.end);
      range.state_shift = part.begin - before;
      result.push_back(range);
    }
    before += part.size();
  }
  return result;
}

}  // namespace

bool is_vector(const ParameterSlot& slot) { return slot.shape.n == 1 && slot.shape.h == 1 && slot.shape.w == 1; }

std::vector<UpdateRange> update_ranges(const Parameters& parameters, float weight_decay,
                                       const std::vector<GroupSettings>& groups, bool decay_vectors,
                                       const IsMatrix& is_matrix) {
  for (const GroupSettings& group : groups) {
    const bool used = std::ranges::any_of(
        parameters.slots(), [&](const ParameterSlot& slot) { return matches_glob(group.match, slot.name); });
    if (!used) throw Error(ExitCode::kConfig, "optimizer.groups: '" + group.match + "' matches no parameter");
  }
  std::vector<UpdateRange> ranges;
  for (const ParameterSlot& slot : parameters.slots()) {
    if (!slot.trainable) continue;
    UpdateRange range{slot.offset, slot.offset + slot.elements(), slot.learning_rate_scale,
                      is_vector(slot) && !decay_vectors ? 0 : weight_decay,
                      is_matrix && is_matrix(slot) ? slot.shape.n : 0};
    const auto group =
        std::ranges::find_if(groups, [&](const GroupSettings& g) { return matches_glob(g.match, slot.name); });
    if (group != groups.end()) {
      range.learning_rate_scale *= group->learning_rate_scale;
      range.weight_decay = group->weight_decay.value_or(range.weight_decay);
    }
    // The gap between two slots holds zeros, which every update leaves zero.
    const bool alike = !ranges.empty() && range.rows == 0 && ranges.back().rows == 0 &&
                       ranges.back().learning_rate_scale == range.learning_rate_scale &&
                       ranges.back().weight_decay == range.weight_decay;
    if (alike) {
      ranges.back().end = range.end;
    } else {
      ranges.push_back(range);
    }
  }
  return cut(ranges, parameters.own().parts);
}

void Optimizer::check_gradients(Parameters& parameters, Stream& stream) {
  const Ownership& own = parameters.own();
  if (norm_count() > 0) ops_.clear(norms_.as<float>(), norm_count(), stream);
  float* norm = norms_.as<float>() + own.rank * std::ssize(own.parts);
  for (const ElementRange& part : own.parts) {
    const float* gradients = parameters.gradients() + part.begin;
    ops_.flag_nonfinite(gradients, part.size(), parameters.control(), stream);
    if (norm_count() > 0) ops_.norm(norm++, gradients, part.size(), stream);
  }
}

std::vector<Tensor> Optimizer::checked(const Parameters& parameters) const {
  std::vector<Tensor> tensors = {{parameters.control() + kOverflow, {}}};
  if (norm_count() > 0) tensors.push_back({norms_.data(), {{1, 1, 1, static_cast<int>(norm_count())}}});
  return tensors;
}

void Optimizer::apply(Parameters& parameters, const StepScalars* scalars, Stream& stream) {
  if (clips_norm()) {
    const bool in_parts = norm_count() > 0;  // then it is the norm of their norms
    ops_.clip_norm(in_parts ? norms_.as<float>() : parameters.gradients(),
                   in_parts ? norm_count() : parameters.trainable_elements(), parameters.loss_scale(), clip_.norm,
                   parameters.control(), clip_factor_.as<float>(), stream);
  }
  const UpdateControl control{scalars, parameters.loss_scale(), parameters.control(), clip_factor_.as<float>(),
                              clip_.value};
  const UpdateBuffers buffers{parameters.values(), parameters.gradients(), parameters.shadow(),
                              parameters.shadow_dtype()};
  for (const UpdateRange& range : ranges_) update(buffers, range, control, stream);
  for (const StateRange& range : state_ranges(parameters)) {
    ops_.update_state(parameters.state() + range.begin, parameters.batch_state() + range.begin, range.end - range.begin,
                      range.momentum, control, stream);
  }
  if (loss_scale_) ops_.update_loss_scale(parameters.loss_scale(), parameters.control(), *loss_scale_, stream);
}

void Optimizer::clip(const ClipOptions& options, Allocator& allocator, const Parameters& parameters) {
  clip_ = options;
  if (!clips_norm()) return;
  clip_factor_ = Buffer(allocator, size_of(Dtype::kF32));
  const Ownership& own = parameters.own();
  if (own.ranks > 1) norms_ = Buffer(allocator, own.ranks * std::ssize(own.parts) * size_of(Dtype::kF32));
}

Buffer state_buffer(Allocator& allocator, const Parameters& parameters) {
  return {allocator, std::max<int64_t>(parameters.own().elements(), 1) * size_of(Dtype::kF32)};
}

namespace {

class Sgd : public Optimizer {
 public:
  Sgd(FlatOps& ops, Allocator& allocator, const Parameters& parameters, std::vector<UpdateRange> ranges,
      const SgdOptions& options)
      : Optimizer(ops, std::move(ranges)), options_(options) {
    if (options.momentum != 0) momentum_ = state_buffer(allocator, parameters);
  }
  std::vector<State> state() override {
    if (momentum_.data() == nullptr) return {};
    return {{"momentum", momentum_.as<float>()}};
  }

 protected:
  void update(const UpdateBuffers& buffers, const UpdateRange& range, const UpdateControl& control,
              Stream& stream) override {
    ops_.sgd(buffers, at(momentum_, range), range, options_, control, stream);
  }

 private:
  SgdOptions options_;
  Buffer momentum_;
};

class Rmsprop : public Optimizer {
 public:
  Rmsprop(FlatOps& ops, Allocator& allocator, const Parameters& parameters, std::vector<UpdateRange> ranges,
          const RmspropOptions& options)
      : Optimizer(ops, std::move(ranges)), options_(options), variance_(state_buffer(allocator, parameters)) {
    if (options.momentum != 0) momentum_ = state_buffer(allocator, parameters);
  }
  std::vector<State> state() override {
    std::vector<State> state{{"variance", variance_.as<float>()}};
    if (momentum_.data() != nullptr) state.push_back({"momentum", momentum_.as<float>()});
    return state;
  }

 protected:
  void update(const UpdateBuffers& buffers, const UpdateRange& range, const UpdateControl& control,
              Stream& stream) override {
    ops_.rmsprop(buffers, at(variance_, range), at(momentum_, range), range, options_, control, stream);
  }

 private:
  RmspropOptions options_;
  Buffer variance_, momentum_;
};

class Lars : public Optimizer {
 public:
  Lars(FlatOps& ops, Allocator& allocator, const Parameters& parameters, std::vector<UpdateRange> ranges,
       const LarsOptions& options)
      : Optimizer(ops, std::move(ranges)), options_(options), velocity_(state_buffer(allocator, parameters)) {}
  std::vector<State> state() override { return {{"velocity", velocity_.as<float>()}}; }

 protected:
  void update(const UpdateBuffers& buffers, const UpdateRange& range, const UpdateControl& control,
              Stream& stream) override {
    ops_.lars(buffers, at(velocity_, range), range, options_, control, stream);
  }

 private:
  LarsOptions options_;
  Buffer velocity_;  // momentum times the rates of its steps
};

// And LAMB, which keeps the same; kUpdate: the rule.
template <auto kUpdate>
class Adam : public Optimizer {
 public:
  Adam(FlatOps& ops, Allocator& allocator, const Parameters& parameters, std::vector<UpdateRange> ranges,
       const AdamOptions& options)
      : Optimizer(ops, std::move(ranges)),
        options_(options),
        mean_(state_buffer(allocator, parameters)),
        variance_(state_buffer(allocator, parameters)) {}
  std::vector<State> state() override { return {{"mean", mean_.as<float>()}, {"variance", variance_.as<float>()}}; }

 protected:
  void update(const UpdateBuffers& buffers, const UpdateRange& range, const UpdateControl& control,
              Stream& stream) override {
    (ops_.*kUpdate)(buffers, at(mean_, range), at(variance_, range), range, options_, control, stream);
  }

 private:
  AdamOptions options_;
  Buffer mean_, variance_;
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(FlatOps& ops, Allocator& allocator, const Parameters& parameters,
                                    std::vector<UpdateRange> ranges, const SgdOptions& options) {
  return std::make_unique<Sgd>(ops, allocator, parameters, std::move(ranges), options);
}

std::unique_ptr<Optimizer> make_rmsprop(FlatOps& ops, Allocator& allocator, const Parameters& parameters,
                                        std::vector<UpdateRange> ranges, const RmspropOptions& options) {
  return std::make_unique<Rmsprop>(ops, allocator, parameters, std::move(ranges), options);
}

std::unique_ptr<Optimizer> make_adam(FlatOps& ops, Allocator& allocator, const Parameters& parameters,
                                     std::vector<UpdateRange> ranges, const AdamOptions& options) {
  return std::make_unique<Adam<&FlatOps::adam>>(ops, allocator, parameters, std::move(ranges), options);
}

std::unique_ptr<Optimizer> make_lars(FlatOps& ops, Allocator& allocator, const Parameters& parameters,
                                     std::vector<UpdateRange> ranges, const LarsOptions& options) {
  return std::make_unique<Lars>(ops, allocator, parameters, std::move(ranges), options);
}

std::unique_ptr<Optimizer> make_lamb(FlatOps& ops, Allocator& allocator, const Parameters& parameters,
                                     std::vector<UpdateRange> ranges, const AdamOptions& options) {
  return std::make_unique<Adam<&FlatOps::lamb>>(ops, allocator, parameters, std::move(ranges), options);
}

}  // namespace convoy
