#include "tests/cases/kernel_rig.h"

#include <algorithm>

#include "tests/cases/elements.h"

namespace convoy {
namespace {

using reference::Array;

constexpr int64_t kGuard = 256;    // bytes on either side; keeps the alignment of a plan's arena
constexpr std::byte kUnset{0xff};  // NaN in f32, bf16 and f16

Array filled(const Shape& shape, double value) {
  Array result(shape);
  std::ranges::fill(result.data, value);
  return result;
}

Array minus(Array values, double start) {
  for (double& value : values.data) value -= start;
  return values;
}

bool same_guards(const std::vector<std::byte>& a, const std::vector<std::byte>& b) {
  return std::equal(a.begin(), a.begin() + kGuard, b.begin()) &&
         std::equal(a.end() - kGuard, a.end(), b.end() - kGuard);
}

}  // namespace

// ---- Regions

KernelRig::Bytes KernelRig::contents(const Region& region) const {
  Bytes bytes(static_cast<size_t>(region.memory.bytes()));
  device_.copy(bytes.data(), region.memory.data(), region.memory.bytes(), device_.compute());
  device_.compute().synchronize();
  return bytes;
}

void KernelRig::store(const Region& region, const void* bytes) {
  device_.copy(region.tensor.data, bytes, region.bytes, device_.compute());
  device_.compute().synchronize();
}

void KernelRig::poison(const Region& region) { store(region, Bytes(static_cast<size_t>(region.bytes), kUnset).data()); }

void KernelRig::write(const Region& region, const Array& values) {
  Bytes bytes(static_cast<size_t>(region.bytes));
  convoy::write({bytes.data(), region.tensor.type}, values);
  store(region, bytes.data());
}

Array KernelRig::read(const Region& region, const ValueType& as) const {
  Bytes bytes = contents(region);
  return convoy::read({bytes.data() + kGuard, as});
}

KernelRig::Region KernelRig::region(std::string name, int64_t bytes) {
  Region result{std::move(name), {}, bytes, Buffer(device_.allocator(), bytes + 2 * kGuard)};
  Bytes start(static_cast<size_t>(result.memory.bytes()), kUnset);
  // Each region has guards of its own, NaN as well: what is copied from one behind the end of another shows.
  const auto mark = static_cast<std::byte>(0x81 + regions_made_++ % 0x7e);
  for (size_t i = 0; i < kGuard; i += 2) start[i] = start[start.size() - kGuard + i] = mark;
  device_.copy(result.memory.data(), start.data(), result.memory.bytes(), device_.compute());
  device_.compute().synchronize();
  result.tensor.data = bytes == 0 ? nullptr : result.memory.as<std::byte>() + kGuard;
  return result;
}

KernelRig::Region KernelRig::region(std::string name, const ValueType& type) {
  Region result = region(std::move(name), type.bytes());
  result.tensor.type = type;
  return result;
}

// ---- Making

KernelRig::KernelRig(const LayerCase& it, const KernelFactory& kernels, Device& device, Dtype dtype, Layout layout,
                     bool last_reader)
    : case_(it), device_(device), kernel_(kernels.make(*it.layer(), request(dtype, layout, last_reader))) {
  make_regions();
  bind();
}

CompileRequest KernelRig::request(Dtype dtype, Layout layout, bool last_reader) const {
  CompileRequest request;
  for (size_t i = 0; i < case_.inputs.size(); ++i) {
    const Dtype of_input = input_dtype(case_, i, dtype);
    request.inputs.push_back({case_.inputs[i], of_input, of_input == dtype ? layout : Layout{}});
    request.wants_dx.push_back(wants_dx(case_, i));
  }
  request.wants_dw = wants_dw(case_);
  request.mode = case_.mode;
  request.compute = dtype;
  request.ranks = case_.ranks;
  request.last_reader.assign(case_.inputs.size(), last_reader);
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
    // Parameters keeps one where activations are not f32.
    const Dtype dtype = kernel_->output().dtype;
    const bool kept = device_.kind() == DeviceKind::kCuda && dtype != Dtype::kF32;
    shadow_.push_back(kept ? region(name("shadow", shadow_.size()), {shape, dtype}) : Region{"no shadow", {}, 0, {}});
  }
  for (const Shape& shape : state_shapes(case_)) {
    state_.push_back(region(name("state", state_.size()), {shape}));
    batch_state_.push_back(region(name("batch_state", batch_state_.size()), {shape}));
  }
  for (int64_t bytes : kernel_->saved()) saved_.push_back(region(name("saved", saved_.size()), bytes));
  for (size_t i = 0; i < gathered_.size(); ++i) {
    gathered_[i] = region(name("gathered", i), {Shape{1, 1, 1, static_cast<int>(kernel_->gathers()[i])}});
  }
  y_ = region("y", kernel_->output());
  dy_ = layer->is_loss() ? region("dy", 0) : region("dy", kernel_->output());
  workspace_ = region("workspace", kernel_->workspace_bytes());
  scalars_ = region("scalars", sizeof(StepScalars));
  loss_scale_ = region("loss_scale", sizeof(LossScale));
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
                 .y = {result().tensor.data, y_.tensor.type},
                 .dy = dy_.tensor,
                 .dx = tensors(dx_),
                 .w = tensors(w_),
                 .dw = tensors(dw_),
                 .shadow = tensors(shadow_),
                 .state = tensors(state_),
                 .batch_state = tensors(batch_state_),
                 .gathered = {gathered_[0].tensor, gathered_[1].tensor},
                 .saved = std::move(saved),
                 .workspace = workspace_.tensor.data,
                 .scalars = scalars_.tensor.as<StepScalars>(),
                 .loss_scale = loss_scale_.tensor.as<LossScale>(),
                 .control = control_.tensor.as<float>()});
}

std::vector<KernelRig::Region*> KernelRig::regions() {
  std::vector<Region*> all{&y_, &dy_, &workspace_, &gathered_[0], &gathered_[1], &scalars_, &loss_scale_, &control_};
  for (std::vector<Region>* some : {&x_, &dx_, &w_, &dw_, &shadow_, &state_, &batch_state_, &saved_}) {
    for (Region& region : *some) all.push_back(&region);
  }
  return all;
}

void KernelRig::load(const reference::Inputs& inputs) {
  for (Region* region : regions()) poison(*region);
  const LossScale loss_scale{.scale = inputs.loss_scale};
  store(scalars_, &inputs.scalars);
  store(loss_scale_, &loss_scale);
  for (size_t i = 0; i < x_.size(); ++i) write(x_[i], inputs.x[i]);
  for (size_t i = 0; i < w_.size(); ++i) write(w_[i], inputs.w[i]);
  for (size_t i = 0; i < w_.size(); ++i) {
    if (shadow_[i].bytes > 0) write(shadow_[i], inputs.w[i]);
  }
  for (size_t i = 0; i < state_.size(); ++i) write(state_[i], inputs.state[i]);
  for (const Region& region : batch_state_) write(region, filled(region.tensor.type.shape, kStart));
  write(control_, filled(control_.tensor.type.shape, kStart));
  if (dy_.bytes > 0) write(dy_, inputs.dy);
}

// ---- Running

void KernelRig::statistics() {
  if (kernel_->gathers()[0] > 0) kernel_->statistics(device_.compute());
}

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
  note(watch("statistics", {&gathered_[0], &workspace_}, [&] { statistics(); }));
  poison(workspace_);
  note(watch("forward", written_by_forward(), [&] { forward(); }));
  result.outputs = outputs();
  poison_what_backward_may_not_read();
  const std::vector<BackwardPart> parts = kernel_->backward_parts();
  for (size_t part = 0; part < parts.size(); ++part) {
    poison(workspace_);
    const auto index = static_cast<int>(part);
    note(watch(parts[part].name, written_by(index), [&] { backward(index); }));
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
  std::vector<Bytes> before;
  for (const Region* region : all) before.push_back(contents(*region));
  run();
  std::vector<std::string> faults;
  for (size_t i = 0; i < all.size(); ++i) {
    const Region& region = *all[i];
    const bool may = std::ranges::find(writable, &region) != writable.end();
    Bytes after = contents(region);
    const bool same = may ? same_guards(before[i], after) : before[i] == after;
    if (!same) faults.push_back(step + " wrote " + (may ? "around " : "to ") + region.name);
    const bool is_tensor = region.bytes > 0 && region.tensor.type.bytes() == region.bytes;
    if (may && is_tensor && !kernel_->output_is_input() &&
        !padding_is_zero({after.data() + kGuard, region.tensor.type})) {
      faults.push_back(step + " left padding of " + region.name + " that is not zero");
    }
  }
  return faults;
}

std::vector<const KernelRig::Region*> KernelRig::written_by_forward() const {
  std::vector<const Region*> result{&this->result(), &workspace_};
  for (const Region& region : saved_) result.push_back(&region);
  if (case_.layer()->is_loss()) result.push_back(&control_);
  if (case_.mode == Mode::kEval) return result;
  for (const Region& region : batch_state_) result.push_back(&region);
  return result;
}

std::vector<const KernelRig::Region*> KernelRig::written_by(int index) const {
  std::vector<const Region*> result{&workspace_, index == 0 ? &gathered_[1] : &workspace_};
  const BackwardPart part = kernel_->backward_parts()[static_cast<size_t>(index)];
  for (int i : part.dx) result.push_back(&dx_[static_cast<size_t>(i)]);
  for (const Region& region : dw_) {
    if (part.dw) result.push_back(&region);
  }
  return result;
}

void KernelRig::poison_what_backward_may_not_read() {
  if (kernel_->output_is_input() || kernel_->backward_parts().empty()) return;
  for (size_t i = 0; i < x_.size(); ++i) {
    if (!kernel_->backward_reads_input(static_cast<int>(i))) poison(x_[i]);
  }
  if (!kernel_->backward_reads_output()) poison(y_);
  poison(gathered_[0]);
}

// ---- Results

bool KernelRig::is_view(size_t input) const {
  return kernel_->output_is_input() || kernel_->dx_is_dy(static_cast<int>(input));
}

const KernelRig::Region& KernelRig::result() const {
  if (kernel_->output_is_input()) return x_[0];
  return kernel_->overwrites() < 0 ? y_ : x_[static_cast<size_t>(kernel_->overwrites())];
}

reference::Outputs KernelRig::outputs() const {
  reference::Outputs out;
  out.y = read(result(), y_.tensor.type);
  for (const Region& region : batch_state_) {
    out.batch_state.push_back(minus(read(region, region.tensor.type), kStart));
  }
  std::ranges::copy(minus(read(control_, control_.tensor.type), kStart).data, out.control.begin());
  return out;
}

reference::Gradients KernelRig::gradients() const {
  reference::Gradients result;
  for (size_t i = 0; i < x_.size(); ++i) {
    const Region& region = is_view(i) ? dy_ : dx_[i];
    result.dx.push_back(wants_dx(case_, i) ? read(region, x_[i].tensor.type) : Array());
  }
  for (const Region& region : dw_) result.dw.push_back(region.bytes > 0 ? read(region, region.tensor.type) : Array());
  return result;
}

}  // namespace convoy
