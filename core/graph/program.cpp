#include "core/graph/program.h"

#include <algorithm>
#include <ranges>

namespace convoy {

Program::Program(const Graph& graph, const Parameters& parameters, const KernelFactory& kernels,
                 const ProgramOptions& options)
    : parameters_(&parameters) {
  compile(graph, kernels, options);
  for (ValueId value : options.keep) {  // what leaves a plan is canonical
    const int from = value_slots_[static_cast<size_t>(value.index)];
    kept_[value.index] = converted(from, {slot(from).type.shape, slot(from).type.dtype}, kernels, "kept");
  }
  if (options.mode == Mode::kTrain) append_backward(graph, kernels, options);
  find_lifetimes();

  std::vector<Lifetime> lifetimes;
  for (const Storage& storage : storages_) lifetimes.push_back(storage.lifetime);
  memory_ = place(lifetimes);
}

int Program::new_storage(int64_t bytes) {
  storages_.push_back({{bytes, -1, -1}, ""});
  return static_cast<int>(storages_.size()) - 1;
}

int Program::new_slot(const ValueType& type, int storage, bool needs_gradient) {
  slots_.push_back({type, storage, needs_gradient});
  return static_cast<int>(slots_.size()) - 1;
}

// ---- Forward

void Program::compile(const Graph& graph, const KernelFactory& kernels, const ProgramOptions& options) {
  value_slots_.assign(static_cast<size_t>(graph.values()), -1);
  reads_.assign(value_slots_.size(), 0);
  for (const Graph::Node& node : graph.nodes()) {
    for (ValueId value : node.inputs) ++reads_[static_cast<size_t>(value.index)];
  }
  for (ValueId value : options.keep) ++reads_[static_cast<size_t>(value.index)];
  for (const Graph::Input& input : graph.inputs()) {
    const int storage = new_storage(0);  // lies outside the arena
    storages_.back().input = input.name;
    storages_.back().reads_left = 1 + reads_[static_cast<size_t>(input.value.index)];  // also by the next run
    inputs_[input.name] = {nullptr, input.type};
    value_slots_[static_cast<size_t>(input.value.index)] = new_slot(input.type, storage, false);
  }
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const auto begins_or_ends = [&](const NodeRange& it) {
      return it.begin == static_cast<int>(i) || it.end == static_cast<int>(i);
    };
    if (std::ranges::any_of(options.recompute, begins_or_ends)) conversions_.clear();  // none is shared with a range
    first_compiled_.push_back(static_cast<int>(compiled_.size()));
    compile_node(graph, graph.nodes()[i], kernels, options);
  }
  first_compiled_.push_back(static_cast<int>(compiled_.size()));
}

void Program::compile_node(const Graph& graph, const Graph::Node& node, const KernelFactory& kernels,
                           const ProgramOptions& options) {
  Compiled result;
  result.name = node.name;
  const std::vector<Shape> shapes = graph.input_shapes(node);
  const auto parameter_count = static_cast<int>(node.layer->parameters(shapes).size());
  const auto state_count = static_cast<int>(node.layer->state(shapes).size());
  for (int i = 0; i < parameter_count; ++i) result.parameters.push_back(parameters_->first_slot(node.name) + i);
  for (int i = 0; i < state_count; ++i) result.state.push_back(parameters_->first_state_slot(node.name) + i);

  const bool training = options.mode == Mode::kTrain;
  CompileRequest request{.inputs = {},
                         .wants_dx = {},
                         .wants_dw = training && !node.frozen && parameter_count > 0,
                         .mode = options.mode,
                         .compute = options.compute,
                         .constant_parameters = options.constant_parameters,
                         .ranks = options.ranks};
  bool needs_gradient = request.wants_dw;
  for (ValueId value : node.inputs) {
    result.x.push_back(value_slots_[static_cast<size_t>(value.index)]);
    request.inputs.push_back(slot(result.x.back()).type);
    request.wants_dx.push_back(training && slot(result.x.back()).needs_gradient);
    needs_gradient |= request.wants_dx.back();
    --storage_of(result.x.back()).reads_left;
  }
  if (!training) request.last_reader = last_reader(result.x);
  try {
    result.kernel = kernels.make(*node.layer, request);
  } catch (const Error& error) {
    const std::string prefix = node.where.empty() ? "" : node.where + ": ";
    throw Error(error.code(), prefix + node.layer->type() + " '" + node.name + "': " + error.what());
  }
  const std::vector<ValueType> wanted = result.kernel->inputs();
  const int overwritten = result.kernel->overwrites();
  for (size_t i = 0; i < wanted.size(); ++i) {
    const bool own = static_cast<int>(i) == overwritten && slot(result.x[i]).type != wanted[i];
    result.x[i] = own ? conversion(result.x[i], wanted[i], kernels, node.name)  // others may read a shared one later
                      : converted(result.x[i], wanted[i], kernels, node.name);
  }
  result.wants_dw = request.wants_dw;
  result.loss = node.layer->is_loss();
  result.flops = node.layer->forward_flops(shapes);

  const ValueType type = result.kernel->output();
  const int shared = result.kernel->output_is_input() ? 0 : overwritten;
  const int storage = shared < 0 ? new_storage(type.bytes()) : slot(result.x[static_cast<size_t>(shared)]).storage;
  result.y = new_slot(type, storage, needs_gradient);
  value_slots_[static_cast<size_t>(node.output.index)] = result.y;
  storage_of(result.y).reads_left += reads_[static_cast<size_t>(node.output.index)];
  compiled_.push_back(std::move(result));
  append_forward(static_cast<int>(compiled_.size()) - 1);
}

// Whether the step that reads these slots, and has been counted, is the last to read where each of them lies.
std::vector<bool> Program::last_reader(const std::vector<int>& x) const {
  std::vector<bool> result;
  for (int index : x) {
    const int readers =
        static_cast<int>(std::ranges::count(x, slot(index).storage, [&](int i) { return slot(i).storage; }));
    result.push_back(storage_of(index).reads_left == 0 && readers == 1);
  }
  return result;
}

// The slot that holds `from` as `to`, made by an inserted conversion the first time.
int Program::converted(int from, const ValueType& to, const KernelFactory& kernels, const std::string& reader) {
  if (slot(from).type == to) return from;
  const auto [entry, inserted] = conversions_.try_emplace({from, to_string(to)}, -1);
  if (inserted) {
    entry->second = conversion(from, to, kernels, reader);
    storage_of(entry->second).reads_left = 1;  // by whoever finds it here
  }
  return entry->second;
}

int Program::conversion(int from, const ValueType& to, const KernelFactory& kernels, const std::string& reader) {
  const Slot source = slot(from);
  CHECK(source.type.shape == to.shape, reader + " asked for another shape");
  Compiled conversion;
  conversion.name = reader + ".convert";
  conversion.kernel = kernels.make_conversion(source.type, to, source.needs_gradient);
  conversion.x = {from};
  conversion.y = new_slot(to, new_storage(to.bytes()), source.needs_gradient);
  const int result = conversion.y;
  compiled_.push_back(std::move(conversion));
  append_forward(static_cast<int>(compiled_.size()) - 1);
  return result;
}

void Program::append_forward(int index) {
  Compiled& it = compiled(index);
  for (int64_t bytes : it.kernel->saved()) it.saved.push_back(new_storage(bytes));
  it.dx.assign(it.x.size(), -1);
  if (it.kernel->output_is_input()) return;
  const std::array<int64_t, 2> gathers = it.kernel->gathers();
  for (size_t i = 0; i < gathers.size(); ++i) {
    const ValueType type{{1, 1, 1, static_cast<int>(gathers[i])}};
    if (gathers[i] > 0) it.gathered[i] = new_slot(type, new_storage(type.bytes()), false);
  }
  PendingStep forward{index, kForward, it.x, {it.y}};
  if (const int statistics = it.gathered[0]; statistics >= 0) {
    steps_.push_back({index, kStatistics, it.x, {statistics}});
    forward.reads.push_back(statistics);
  }
  steps_.push_back(std::move(forward));
}

// ---- Backward

// The one slot with the whole gradient of `of`, after a visible sum where several readers contributed; -1 if none did.
int Program::gradient_of(int of, const KernelFactory& kernels, const std::string& name) {
  const auto found = contributions_.find(of);
  if (found == contributions_.end()) return -1;
  const std::vector<int> terms = found->second;
  if (terms.size() == 1) return terms.front();

  Compiled sum;
  sum.name = name + ".gradients";
  sum.kernel = kernels.make_sum(slot(of).type, static_cast<int>(terms.size()));
  sum.x = terms;
  sum.y = new_slot(slot(of).type, new_storage(slot(of).type.bytes()), false);
  const int result = sum.y;
  compiled_.push_back(std::move(sum));
  append_forward(static_cast<int>(compiled_.size()) - 1);
  return result;
}

void Program::append_backward(const Graph& graph, const KernelFactory& kernels, const ProgramOptions& options) {
  int end = static_cast<int>(compiled_.size());
  for (const NodeRange& range : std::views::reverse(options.recompute)) {
    append_backward(first_compiled_[static_cast<size_t>(range.end)], end, kernels);
    end = first_compiled_[static_cast<size_t>(range.begin)];
    const auto again = static_cast<int>(compiled_.size());
    recompute(graph, range, kernels, options);
    append_backward(again, static_cast<int>(compiled_.size()), kernels);
  }
  append_backward(0, end, kernels);
}

// Of compiled kernels [begin, end).
void Program::append_backward(int begin, int end, const KernelFactory& kernels) {
  for (int index = end - 1; index >= begin; --index) {
    if (!slot(compiled(index).y).needs_gradient) continue;
    const int dy = gradient_of(compiled(index).y, kernels, compiled(index).name);
    if (dy >= 0 || compiled(index).loss) append_backward_of(index, dy);
  }
}

// Compiles the nodes of `range` and appends their forward steps once more; values that are read outside of it stay.
void Program::recompute(const Graph& graph, NodeRange range, const KernelFactory& kernels,
                        const ProgramOptions& options) {
  const std::span nodes = graph.nodes();
  const auto in_range = nodes.subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.end - range.begin));
  const auto gets_gradient = [&](const Graph::Node& node) {
    return slot(value_slots_[static_cast<size_t>(node.output.index)]).needs_gradient;
  };
  if (std::ranges::none_of(in_range, gets_gradient)) return;
  std::vector<int> reads_inside(value_slots_.size());
  for (const Graph::Node& node : in_range) {
    for (ValueId value : node.inputs) ++reads_inside[static_cast<size_t>(value.index)];
  }
  const size_t first = compiled_.size();
  conversions_.clear();  // of values from outside, too: those of before need not be kept
  for (const Graph::Node& node : in_range) {
    const auto value = static_cast<size_t>(node.output.index);
    recompile_node(graph, node, reads_[value] > reads_inside[value], kernels, options);
  }
  for (size_t i = first; i < compiled_.size(); ++i) compiled_[i].again = true;
}

void Program::recompile_node(const Graph& graph, const Graph::Node& node, bool output_stays,
                             const KernelFactory& kernels, const ProgramOptions& options) {
  CHECK(!node.layer->is_loss(), "a loss would be counted twice");
  int& value_slot = value_slots_[static_cast<size_t>(node.output.index)];
  const int before = value_slot;
  compile_node(graph, node, kernels, options);
  Compiled& it = compiled_.back();
  for (int index : it.state) {
    it.unused_state.push_back(
        new_storage(parameters_->state_slots()[static_cast<size_t>(index)].elements() * size_of(Dtype::kF32)));
  }
  if (!output_stays) return;
  it.y = value_slot = before;
  if (it.kernel->output_is_input()) return;
  steps_.back().writes = {before};  // the same bytes
  if (it.kernel->saved().empty()) {
    std::erase_if(steps_, [&](const PendingStep& step) { return &compiled(step.compiled) == &it; });
  }
}

void Program::append_backward_of(int index, int dy) {
  Compiled& it = compiled(index);
  it.dy = dy;
  const auto contributes = [&](size_t i) { return slot(it.x[i]).needs_gradient; };
  for (size_t i = 0; i < it.x.size(); ++i) {
    if (!contributes(i)) continue;
    if (it.kernel->output_is_input()) {  // the same memory under the shape of the input
      contributions_[it.x[i]].push_back(new_slot(slot(it.x[i]).type, slot(dy).storage, false));
    } else if (it.kernel->dx_is_dy(static_cast<int>(i))) {
      contributions_[it.x[i]].push_back(dy);
    }
  }
  const std::vector<BackwardPart> parts = it.kernel->backward_parts();
  for (size_t part = 0; part < parts.size(); ++part) {
    PendingStep step{index, static_cast<int>(part), {}, {}};
    if (dy >= 0) step.reads.push_back(dy);
    for (size_t i = 0; i < it.x.size(); ++i) {
      if (it.kernel->backward_reads_input(static_cast<int>(i))) step.reads.push_back(it.x[i]);
    }
    if (it.kernel->backward_reads_output()) step.reads.push_back(it.y);
    if (it.gathered[1] >= 0) (part == 0 ? step.writes : step.reads).push_back(it.gathered[1]);
    for (int i : parts[part].dx) {
      const auto input = static_cast<size_t>(i);
      CHECK(contributes(input), it.name + " writes a gradient that nobody wants");
      const ValueType type = slot(it.x[input]).type;
      it.dx[input] = new_slot(type, new_storage(type.bytes()), false);
      contributions_[it.x[input]].push_back(it.dx[input]);
      step.writes.push_back(it.dx[input]);
    }
    steps_.push_back(std::move(step));
  }
}

// ---- Memory

void Program::touch(int index, int time) {
  Storage& storage = storages_[static_cast<size_t>(index)];
  if (!storage.input.empty()) return;
  Lifetime& lifetime = storage.lifetime;
  lifetime.first = lifetime.first < 0 ? time : std::min(lifetime.first, time);
  lifetime.last = std::max(lifetime.last, time);
}

void Program::find_lifetimes() {
  const int end = static_cast<int>(steps_.size()) - 1;
  int64_t workspace = 0;
  for (int time = 0; time <= end; ++time) {
    const PendingStep& step = steps_[static_cast<size_t>(time)];
    for (int index : step.reads) touch(slot(index).storage, time);
    for (int index : step.writes) touch(slot(index).storage, time);
    for (int storage : compiled(step.compiled).saved) touch(storage, time);
    for (int storage : compiled(step.compiled).unused_state) touch(storage, time);
    workspace = std::max(workspace, compiled(step.compiled).kernel->workspace_bytes());
  }
  for (const auto& [value, kept] : kept_) touch(slot(kept).storage, end);
  workspace_storage_ = new_storage(workspace);  // one scratch for all steps
  touch(workspace_storage_, 0);
  touch(workspace_storage_, end);
}

void Program::bind(void* arena, Parameters& parameters, const std::map<std::string, Tensor>& inputs,
                   const StepScalars* scalars, Stream& compute) {
  CHECK(arena_ == nullptr && arena != nullptr && &parameters == parameters_);
  arena_ = static_cast<std::byte*>(arena);
  stream_ = &compute;
  for (auto& [name, tensor] : inputs_) {
    const auto found = inputs.find(name);
    CHECK(found != inputs.end() && found->second.type == tensor.type, "input '" + name + "'");
    tensor = found->second;
  }
  const auto address = [&](int storage) -> void* { return arena_ + memory_.offsets[static_cast<size_t>(storage)]; };
  for (Compiled& it : compiled_) {
    KernelArgs args;
    for (int index : it.x) args.x.push_back(tensor(index));
    args.y = tensor(it.y);
    if (it.dy >= 0) args.dy = tensor(it.dy);
    for (int index : it.dx) args.dx.push_back(index >= 0 ? tensor(index) : Tensor{});
    for (size_t i = 0; i < it.gathered.size(); ++i) {
      if (it.gathered[i] >= 0) args.gathered[i] = tensor(it.gathered[i]);
    }
    for (int index : it.parameters) {
      const ParameterSlot& parameter = parameters.slots()[static_cast<size_t>(index)];
      args.w.push_back(parameters.value(parameter));
      args.shadow.push_back(parameters.shadow(parameter));
      args.dw.push_back(it.wants_dw ? parameters.gradient(parameter) : Tensor{});
    }
    for (size_t i = 0; i < it.state.size(); ++i) {
      const StateSlot& state = parameters.state_slots()[static_cast<size_t>(it.state[i])];
      args.state.push_back(parameters.state(state));
      args.batch_state.push_back(parameters.batch_state(state));
      if (it.again && state.momentum != 0) args.batch_state.back().data = address(it.unused_state[i]);
    }
    for (int storage : it.saved) args.saved.push_back(address(storage));
    args.workspace = address(workspace_storage_);
    args.scalars = scalars;
    args.loss_scale = parameters.loss_scale();
    args.control = parameters.control();
    it.kernel->bind(args);
  }
}

Tensor Program::tensor(int index) const {
  const Storage& storage = storages_[static_cast<size_t>(slot(index).storage)];
  if (!storage.input.empty()) return {inputs_.at(storage.input).data, slot(index).type};
  return {arena_ + memory_.offsets[static_cast<size_t>(slot(index).storage)], slot(index).type};
}

Tensor Program::value(ValueId value) const { return tensor(kept_.at(value.index)); }

// ---- Steps

Step Program::make_step(const PendingStep& pending) const {
  const Compiled& it = compiled(pending.compiled);
  Kernel* kernel = it.kernel.get();
  Stream* stream = stream_;
  Step step;
  int64_t bytes = 0;
  for (int index : pending.reads) bytes += slot(index).type.bytes();
  for (int index : pending.writes) {
    bytes += slot(index).type.bytes();
    step.detail += to_string(slot(index).type) + " ";
    if (arena_ != nullptr) step.outputs.push_back(tensor(index));
  }
  for (int index : it.parameters) {
    bytes += parameters_->slots()[static_cast<size_t>(index)].elements() * size_of(Dtype::kF32);
  }
  step.bytes = bytes;
  step.detail += kernel->engine();
  const auto gathers = [&](size_t i) { return it.gathered[i] >= 0 && arena_ != nullptr; };
  if (pending.part == kStatistics) {
    step.name = it.name + (it.again ? " statistics recomputed" : " statistics");
    step.run = [kernel, stream] { kernel->statistics(*stream); };
    if (gathers(0)) step.gathered = tensor(it.gathered[0]);
    return step;
  }
  if (pending.part == kForward) {
    step.name = it.name + (it.again ? " recomputed" : " forward");
    step.flops = it.flops;
    step.run = [kernel, stream] { kernel->forward(*stream); };
    return step;
  }
  const int part = pending.part;
  const BackwardPart written = kernel->backward_parts()[static_cast<size_t>(part)];
  step.name = it.name + " " + written.name;
  step.flops = it.flops * (static_cast<int64_t>(written.dx.size()) + (written.dw ? 1 : 0));
  step.run = [kernel, stream, part] { kernel->backward(part, *stream); };
  if (part == 0 && gathers(1)) step.gathered = tensor(it.gathered[1]);
  if (written.dw) {
    const ParameterSlot& first = parameters_->slots()[static_cast<size_t>(it.parameters.front())];
    const ParameterSlot& last = parameters_->slots()[static_cast<size_t>(it.parameters.back())];
    step.gradient_begin = first.offset;
    step.gradient_end = last.offset + last.elements();
    for (int index : it.parameters) {
      if (arena_ != nullptr)
        step.outputs.push_back(parameters_->gradient(parameters_->slots()[static_cast<size_t>(index)]));
    }
  }
  return step;
}

Plan Program::plan() const {
  Plan plan;
  for (const PendingStep& pending : steps_) plan.append(make_step(pending));
  return plan;
}

}  // namespace convoy
