#include "tests/cases/kernel_rig.h"

#include <algorithm>

#include "tests/cases/elements.h"

namespace convoy {
namespace {

using reference::Array;

constexpr int64_t kGuard = 256;    // bytes on either side; keeps the alignment of a plan's arena
constexpr std::byte kUnset{0xff};  // NaN in f32 and in bf16

Array filled(const Shape& shape, double value) {
  Array result(shape);
  std::ranges::fill(result.data, value);
  return result;
}

Array minus(Array values, double start) {
  for (double& value : values.data) value -= start;
  return values;
}

}  // namespace

// ---- Regions

void KernelRig::Region::poison() const { std::fill_n(memory.as<std::byte>() + kGuard, bytes, kUnset); }

std::vector<std::byte> KernelRig::Region::copy() const {
  return {memory.as<std::byte>(), memory.as<std::byte>() + memory.bytes()};
}

bool KernelRig::Region::same(const std::vector<std::byte>& before, bool guards_only) const {
  const auto equal = [&](int64_t begin, int64_t end) {
    return std::equal(before.begin() + begin, before.begin() + end, memory.as<std::byte>() + begin);
  };
  if (!guards_only) return equal(0, memory.bytes());
  return equal(0, kGuard) && equal(kGuard + bytes, memory.bytes());
}

KernelRig::Region KernelRig::region(std::string name, int64_t bytes) const {
  Region result{std::move(name), {}, bytes, Buffer(device_.allocator(), bytes + 2 * kGuard)};
  std::fill_n(result.memory.as<std::byte>(), result.memory.bytes(), kUnset);
  result.tensor.data = bytes == 0 ? nullptr : result.memory.as<std::byte>() + kGuard;
  return result;
}

KernelRig::Region KernelRig::region(std::string name, const ValueType& type) const {
  Region result = region(std::move(name), type.bytes());
  result.tensor.type = type;
  return result;
}

// ---- Making

KernelRig::KernelRig(const LayerCase& it, const KernelFactory& kernels, Device& device, Dtype dtype, Layout layout)
    : case_(it), device_(device), kernel_(kernels.make(*it.layer(), request(dtype, layout))) {
  make_regions();
  bind();
}

CompileRequest KernelRig::request(Dtype dtype, Layout layout) const {
  CompileRequest request;
  for (size_t i = 0; i < case_.inputs.size(); ++i) {
    const Dtype of_input = input_dtype(case_, i, dtype);
    request.inputs.push_back({case_.inputs[i], of_input, of_input == dtype ? layout : Layout{}});
    request.wants_dx.push_back(wants_dx(case_, i));
  }
  request.wants_dw = wants_dw(case_);
  request.mode = case_.mode;
  request.compute = dtype;
  return request;
}

void KernelRig::make_regions() {
  const auto name = [](const char* of, size_t i) { return of + ("[" + std::to_string(i) + "]"); };
  const std::unique_ptr<Layer> layer = case_.layer();
  const std::vector<ValueType> inputs = kernel_->inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    x_.push_back(region(name("x", i), inputs[i]));
    const bool written = wants_dx(case_, i) && !is_view(i);
    dx_.push_back(written ? region(name("dx", i), inputs[i]) : region(name("dx", i), 0));
  }
  for (const Shape& shape : parameter_shapes(case_)) {
    w_.push_back(region(name("w", w_.size()), {shape}));
    dw_.push_back(wants_dw(case_) ? region(name("dw", dw_.size()), {shape}) : region(name("dw", dw_.size()), 0));
  }
  for (const Shape& shape : state_shapes(case_)) {
    state_.push_back(region(name("state", state_.size()), {shape}));
    batch_state_.push_back(region(name("batch_state", batch_state_.size()), {shape}));
  }
  for (int64_t bytes : kernel_->saved()) saved_.push_back(region(name("saved", saved_.size()), bytes));
  y_ = region("y", kernel_->output());
  dy_ = layer->is_loss() ? region("dy", 0) : region("dy", kernel_->output());
  workspace_ = region("workspace", kernel_->workspace_bytes());
  control_ = region("control", {Shape{1, 1, 1, kControlSize}});
}

void KernelRig::bind() {
  const auto tensors = [](const std::vector<Region>& of) {
    std::vector<Tensor> result;
    for (const Region& region : of) result.push_back(region.tensor);
    return result;
  };
  std::vector<void*> saved;
  for (const Region& region : saved_) saved.push_back(region.tensor.data);
  kernel_->bind({.x = tensors(x_),
                 .y = y_view(),
                 .dy = dy_.tensor,
                 .dx = tensors(dx_),
                 .w = tensors(w_),
                 .dw = tensors(dw_),
                 .state = tensors(state_),
                 .batch_state = tensors(batch_state_),
                 .saved = std::move(saved),
                 .workspace = workspace_.tensor.data,
                 .scalars = &scalars_,
                 .control = control_.tensor.as<float>()});
}

std::vector<KernelRig::Region*> KernelRig::regions() {
  std::vector<Region*> all{&y_, &dy_, &workspace_, &control_};
  for (std::vector<Region>* some : {&x_, &dx_, &w_, &dw_, &state_, &batch_state_, &saved_}) {
    for (Region& region : *some) all.push_back(&region);
  }
  return all;
}

void KernelRig::load(const reference::Inputs& inputs) {
  scalars_ = inputs.scalars;
  for (Region* region : regions()) region->poison();
  for (size_t i = 0; i < x_.size(); ++i) write(x_[i].tensor, inputs.x[i]);
  for (size_t i = 0; i < w_.size(); ++i) write(w_[i].tensor, inputs.w[i]);
  for (size_t i = 0; i < state_.size(); ++i) write(state_[i].tensor, inputs.state[i]);
  for (const Region& region : batch_state_) write(region.tensor, filled(region.tensor.type.shape, kStart));
  write(control_.tensor, filled(control_.tensor.type.shape, kStart));
  if (dy_.bytes > 0) write(dy_.tensor, inputs.dy);
}

// ---- Running

void KernelRig::forward() {
  if (!kernel_->output_is_input()) kernel_->forward(device_.compute());
}

void KernelRig::backward(int part) { kernel_->backward(part, device_.compute()); }

KernelRig::Run KernelRig::run(const reference::Inputs& inputs) {
  Run result;
  const auto note = [&](const std::vector<std::string>& faults) {
    result.faults.insert(result.faults.end(), faults.begin(), faults.end());
  };
  load(inputs);
  note(faults_of_parts());
  note(watch("forward", written_by_forward(), [&] { forward(); }));
  result.outputs = outputs();
  poison_what_backward_may_not_read();
  const std::vector<BackwardPart> parts = kernel_->backward_parts();
  for (size_t part = 0; part < parts.size(); ++part) {
    workspace_.poison();
    note(watch(parts[part].name, written_by(parts[part]), [&] { backward(static_cast<int>(part)); }));
  }
  result.gradients = gradients();
  return result;
}

// Each wanted gradient is written by one part, or is dy; the others are not.
std::vector<std::string> KernelRig::faults_of_parts() const {
  std::vector<int> dx(x_.size());
  int dw = 0;
  for (const BackwardPart& part : kernel_->backward_parts()) {
    for (int i : part.dx) ++dx[static_cast<size_t>(i)];
    dw += part.dw ? 1 : 0;
  }
  std::vector<std::string> faults;
  const auto check = [&](const std::string& name, int found, bool wanted) {
    if (found != (wanted ? 1 : 0)) faults.push_back(name + " is written by " + std::to_string(found) + " parts");
  };
  for (size_t i = 0; i < dx.size(); ++i) check(dx_[i].name, dx[i], wants_dx(case_, i) && !is_view(i));
  check("dw", dw, wants_dw(case_));
  return faults;
}

std::vector<std::string> KernelRig::watch(const std::string& step, const std::vector<const Region*>& writable,
                                          const std::function<void()>& run) {
  const std::vector<Region*> all = regions();
  std::vector<std::vector<std::byte>> before;
  for (const Region* region : all) before.push_back(region->copy());
  run();
  std::vector<std::string> faults;
  for (size_t i = 0; i < all.size(); ++i) {
    const Region& region = *all[i];
    const bool may = std::ranges::find(writable, &region) != writable.end();
    if (!region.same(before[i], may)) faults.push_back(step + " wrote " + (may ? "around " : "to ") + region.name);
    const bool is_tensor = region.bytes > 0 && region.tensor.type.bytes() == region.bytes;
    if (may && is_tensor && !kernel_->output_is_input() && !padding_is_zero(region.tensor)) {
      faults.push_back(step + " left padding of " + region.name + " that is not zero");
    }
  }
  return faults;
}

std::vector<const KernelRig::Region*> KernelRig::written_by_forward() const {
  std::vector<const Region*> result{&y_, &workspace_};
  for (const Region& region : saved_) result.push_back(&region);
  if (case_.layer()->is_loss()) result.push_back(&control_);
  if (case_.mode == Mode::kEval) return result;
  for (const Region& region : batch_state_) result.push_back(&region);
  return result;
}

std::vector<const KernelRig::Region*> KernelRig::written_by(const BackwardPart& part) const {
  std::vector<const Region*> result{&workspace_};
  for (int i : part.dx) result.push_back(&dx_[static_cast<size_t>(i)]);
  for (const Region& region : dw_) {
    if (part.dw) result.push_back(&region);
  }
  return result;
}

void KernelRig::poison_what_backward_may_not_read() {
  if (kernel_->output_is_input() || kernel_->backward_parts().empty()) return;
  for (size_t i = 0; i < x_.size(); ++i) {
    if (!kernel_->backward_reads_input(static_cast<int>(i))) x_[i].poison();
  }
  if (!kernel_->backward_reads_output()) y_.poison();
}

// ---- Results

bool KernelRig::is_view(size_t input) const {
  return kernel_->output_is_input() || kernel_->dx_is_dy(static_cast<int>(input));
}

Tensor KernelRig::y_view() const {
  return {kernel_->output_is_input() ? x_[0].tensor.data : y_.tensor.data, y_.tensor.type};
}

Tensor KernelRig::dx_view(size_t input) const {
  return is_view(input) ? Tensor{dy_.tensor.data, x_[input].tensor.type} : dx_[input].tensor;
}

reference::Outputs KernelRig::outputs() const {
  reference::Outputs out;
  out.y = read(y_view());
  for (const Region& region : batch_state_) out.batch_state.push_back(minus(read(region.tensor), kStart));
  for (size_t i = 0; i < out.control.size(); ++i) out.control[i] = double{control_.tensor.as<float>()[i]} - kStart;
  return out;
}

reference::Gradients KernelRig::gradients() const {
  reference::Gradients result;
  for (size_t i = 0; i < x_.size(); ++i) {
    result.dx.push_back(wants_dx(case_, i) ? read(dx_view(i)) : Array());
  }
  for (const Region& region : dw_) result.dw.push_back(region.bytes > 0 ? read(region.tensor) : Array());
  return result;
}

}  // namespace convoy
