// Convolution with oneDNN.  It chooses the layouts; the program inserts a conversion where a producer has another one.
#include "layers/conv2d.h"

#include <limits>

#include "layers/conv2d_winograd_cpu.h"
#include "layers/depthwise_cpu.h"
#include "layers/kernel_cpu.h"
#include "layers/onednn_cpu.h"

namespace convoy {
namespace {

using dnnl::convolution_backward_data;
using dnnl::convolution_backward_weights;
using dnnl::convolution_forward;
using onednn::Desc;
using onednn::Staging;
using Tag = dnnl::memory::format_tag;

using Algorithm = dnnl::algorithm;
constexpr auto kDirect = Algorithm::convolution_direct;

struct Geometry {
  onednn::Dims stride, dilation, low, high;
};

Geometry geometry(const WindowAxes& axes) {
  return {{axes.h.stride, axes.w.stride},
          {axes.h.dilation - 1, axes.w.dilation - 1},
          {axes.h.low, axes.w.low},
          {axes.h.high, axes.w.high}};
}

// How what is to be added gets to the result.
enum class Adding : uint8_t {
  kNothing,
  kInPlace,  // the result is written over it
  kFused,    // read from where it is
  kApart     // in a loop afterwards, as is the relu
};

// The primitives for one pair of layouts.
struct Primitives {
  convolution_forward::primitive_desc forward;
  std::optional<convolution_backward_data::primitive_desc> data;
  std::optional<convolution_backward_weights::primitive_desc> weights;
  std::optional<DepthwiseWeights> own_weights;  // in the place of `weights`
  std::optional<Layout> x;                      // none: oneDNN wants x in a layout we have no name for
  Layout y;
  int penalty = 0;  // for each primitive that is one of oneDNN's slow ones
  Adding adding = Adding::kNothing;
};

// For depthwise convolutions, oneDNN's code for others is a slow one too: it fills one lane of each vector (measured:
// 10 times slower and more).
bool is_slow(const std::string& engine, bool depthwise) {
  return engine.starts_with("ref") || (depthwise && engine.find("dw") == std::string::npos);
}

// Convolutions of oneDNN 2.6.3 by matrix products add wrong elements in N,H,W,C (17 channels, SSE4.1).
bool adds_well(const std::string& engine) {
  return engine.find("gemm") == std::string::npos && engine.find("ref") == std::string::npos;
}

bool is_winograd(const std::string& engine) { return engine.find("wino") != std::string::npos; }

// What `make` makes of an algorithm: by Winograd's, if that is wanted and oneDNN has it here: for 3x3 filters of f32 on
// AVX-512.  oneDNN never takes it by itself.
template <class Make>
auto fastest(bool winograd, Make make) {
  if (winograd) {
    try {
      return make(Algorithm::convolution_winograd);
    } catch (const dnnl::error& error) {
      if (error.status != dnnl_unimplemented) throw;
    }
  }
  return make(kDirect);
}

class Conv2dCpu : public CpuKernel {
 public:
  Conv2dCpu(const Conv2d& layer, const CompileRequest& request);
  std::string engine() const override;
  bool backward_reads_input(int) const override { return reads_x_; }
  bool backward_reads_output() const override { return options_.relu && !parts_.empty(); }
  int overwrites() const override { return chosen_.adding == Adding::kInPlace ? 1 : -1; }
  void bind(const KernelArgs& args) override;
  void forward(Stream&) override;
  void backward(int part, Stream&) override;

 private:
  Shape y_shape(const Shape& x) const;
  Primitives choose(const CompileRequest& request) const;
  std::optional<Primitives> try_layout(const CompileRequest& request, Tag tag) const;
  std::vector<Adding> ways_to_add(const CompileRequest& request) const;
  convolution_forward::primitive_desc forward_desc(Algorithm algorithm, dnnl::prop_kind kind, const Desc& x,
                                                   const Desc& y, const WindowAxes& axes, Adding adding) const;
  template <class T>
  void add_after(T* y, const T* x) const;
  void plan_memory();
  void bind_forward();
  void bind_backward_data();
  void bind_backward_weights();
  dnnl::memory scratchpad(const Desc& desc) {
    return {desc, context_.engine, onednn::at(args_.workspace, scratch_offset_)};
  }

  Conv2dOptions options_;
  bool constant_;  // the weights are
  Shape weight_;
  onednn::Context context_;
  Primitives chosen_;
  bool reads_x_ = false, saves_x_ = false;
  // The workspace: dy behind the relu | weights, or their gradient, as oneDNN wants them | x likewise | scratchpad.
  int64_t masked_offset_ = 0, weight_offset_ = 0, x_offset_ = 0, scratch_offset_ = 0;
  void* dy_ = nullptr;  // dy, behind the relu if there is one

  std::optional<Staging> x_, forward_weight_, data_weight_, dw_;
  std::optional<Staging> dense_weight_;  // constant weights, which oneDNN transforms for Winograd only from O,I,H,W
  onednn::Call forward_, backward_data_, backward_weights_;
};

Conv2dCpu::Conv2dCpu(const Conv2d& layer, const CompileRequest& request)
    : options_(layer.options()),
      constant_(request.constant_parameters && request.mode == Mode::kEval),
      weight_(layer.parameters(std::vector{request.inputs[0].shape})[0].shape) {
  const ValueType& offered = request.inputs[0];
  output_ = {y_shape(offered.shape), offered.dtype, {}};
  chosen_ = onednn::available(offered.dtype, [&] { return choose(request); });
  inputs_ = {{offered.shape, offered.dtype, chosen_.x.value_or(Layout{})}};
  output_.layout = chosen_.y;
  if (options_.add) inputs_.push_back(output_);
  CHECK(!options_.add || request.mode == Mode::kEval, "a convolution that adds has no gradient");
  const bool dx = chosen_.data.has_value(), dw = chosen_.weights || chosen_.own_weights;
  if (options_.relu && dx && dw) {
    parts_ = {{"backward", {0}, true}};  // one part: dy behind the relu is computed once
  } else {
    if (dw) parts_.push_back({"backward_weights", {}, true});
    if (dx) parts_.push_back({"backward_data", {0}, false});
  }
  x_.emplace(context_, chosen_.x ? chosen_.forward.src_desc() : onednn::activation(inputs_[0]),
             chosen_.forward.src_desc());
  saves_x_ = dw && x_->copies();
  reads_x_ = dw && !saves_x_;
  plan_memory();
}

Shape Conv2dCpu::y_shape(const Shape& x) const {
  const WindowAxes axes = window_axes(options_.window, x);
  return {x.n, axes.h.output, axes.w.output, options_.filters};
}

Primitives Conv2dCpu::choose(const CompileRequest& request) const {
  std::optional<Primitives> best;
  for (const auto tag : {Tag::any, Tag::nChw16c, Tag::nChw8c, Tag::nhwc}) {
    std::optional<Primitives> tried = try_layout(request, tag);
    if (tried && (!best || tried->penalty < best->penalty)) best = std::move(tried);
    if (best && best->penalty == 0) break;
  }
  if (!best) throw dnnl::error(dnnl_unimplemented, "no convolution for these shapes");
  return *best;
}

convolution_forward::primitive_desc Conv2dCpu::forward_desc(Algorithm algorithm, dnnl::prop_kind kind, const Desc& x,
                                                            const Desc& y, const WindowAxes& axes,
                                                            Adding adding) const {
  dnnl::post_ops ops;
  if (adding == Adding::kInPlace) ops.append_sum();
  if (adding == Adding::kFused) ops.append_binary(Algorithm::binary_add, y);
  if (options_.relu && adding != Adding::kApart) onednn::append_relu(ops);
  const Geometry g = geometry(axes);
  const Desc w = onednn::weights_any(weight_, options_.groups, output_.dtype);
  const Desc bias = options_.bias ? onednn::vector(options_.filters) : Desc();
  return onednn::forward_desc<convolution_forward>(context_, onednn::attributes(ops), kind, algorithm, x, w, bias, y,
                                                   g.stride, g.dilation, g.low, g.high);
}

std::optional<Primitives> Conv2dCpu::try_layout(const CompileRequest& request, Tag tag) const {
  const auto& [shape, dtype, offered] = request.inputs[0];
  const WindowAxes axes = window_axes(options_.window, shape);
  const Shape& y_shape = output_.shape;
  const Geometry g = geometry(axes);
  const Desc w = onednn::weights_any(weight_, options_.groups, dtype);
  const Desc dw = onednn::weights_any(weight_, options_.groups, Dtype::kF32);
  const Desc bias = options_.bias ? onednn::vector(options_.filters) : Desc();
  const dnnl::primitive_attr plain = onednn::attributes();
  const bool depthwise = options_.groups == shape.c && options_.groups == options_.filters && shape.c > 1;
  constexpr int kLanes = 16;  // fewer channels would not fill a vector
  const bool winograd = suits_winograd(options_, request.inputs[0], y_shape, kLanes);
  constexpr auto kTraining = dnnl::prop_kind::forward_training;
  const auto kind = constant_ ? dnnl::prop_kind::forward_inference : kTraining;
  try {
    Primitives result;
    // The layouts that oneDNN wants for training, blocks of channels, are the faster ones for inference too.
    const auto layouts = forward_desc(kDirect, kTraining, onednn::activation(shape, dtype, tag),
                                      onednn::activation(y_shape, dtype, tag), axes, Adding::kNothing);
    const Desc x = layouts.src_desc(), y = layouts.dst_desc();
    for (const Adding adding : ways_to_add(request)) {
      result.adding = adding;
      result.forward = fastest(winograd, [&](Algorithm by) { return forward_desc(by, kind, x, y, axes, adding); });
      if (adds_well(result.forward.impl_info_str())) break;
    }
    if (is_slow(result.forward.impl_info_str(), depthwise)) ++result.penalty;
    result.x = onednn::layout_of(x, request.inputs[0]);
    const std::optional<Layout> layout = onednn::layout_of(y, {y_shape, dtype});
    const bool train_mode = request.mode == Mode::kTrain;
    const bool wants_dx = train_mode && request.wants_dx[0];
    if (!layout || (!result.x && wants_dx)) return std::nullopt;
    result.y = *layout;
    if (wants_dx) {
      result.data = fastest(winograd, [&](Algorithm by) {
        return onednn::backward_desc<convolution_backward_data>(context_, plain, layouts, by, x, w, y, g.stride,
                                                                g.dilation, g.low, g.high);
      });
      if (is_slow(result.data->impl_info_str(), depthwise)) ++result.penalty;
    }
    if (train_mode && request.wants_dw) {
      result.weights = fastest(winograd, [&](Algorithm by) {
        return onednn::backward_desc<convolution_backward_weights>(context_, plain, layouts, by, x, dw, bias, y,
                                                                   g.stride, g.dilation, g.low, g.high);
      });
      if (is_slow(result.weights->impl_info_str(), depthwise)) {
        ++result.penalty;
        if (depthwise && result.x == layout) {
          result.weights.reset();
          result.own_weights.emplace(ValueType{shape, dtype, *layout}, ValueType{y_shape, dtype, *layout}, axes);
        }
      }
    }
    return result;
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented) return std::nullopt;
    throw;
  }
}

// Best first; the last one always adds well.
std::vector<Adding> Conv2dCpu::ways_to_add(const CompileRequest& request) const {
  if (!options_.add) return {Adding::kNothing};
  if (!request.may_overwrite(1)) return {Adding::kFused, Adding::kApart};
  return {Adding::kInPlace, Adding::kFused, Adding::kApart};
}

void Conv2dCpu::plan_memory() {
  const Desc canonical = onednn::weights(weight_, options_.groups, Dtype::kF32);
  onednn::WorkspaceParts parts;
  if (options_.relu && !parts_.empty()) masked_offset_ = parts.add(output_.bytes());
  const bool transformed = constant_ && is_winograd(chosen_.forward.impl_info_str());
  forward_weight_.emplace(context_, transformed ? onednn::dense_weights(weight_) : canonical,
                          chosen_.forward.weights_desc());
  if (transformed) dense_weight_.emplace(context_, canonical, onednn::dense_weights(weight_));
  int64_t weight_bytes = constant_ ? 0 : forward_weight_->bytes();
  int64_t scratch_bytes = static_cast<int64_t>(chosen_.forward.scratchpad_desc().get_size());
  if (chosen_.data) {
    data_weight_.emplace(context_, canonical, chosen_.data->weights_desc());
    weight_bytes = std::max(weight_bytes, data_weight_->bytes());
    scratch_bytes = std::max(scratch_bytes, static_cast<int64_t>(chosen_.data->scratchpad_desc().get_size()));
  }
  if (chosen_.weights) {
    dw_.emplace(context_, chosen_.weights->diff_weights_desc(), canonical);
    weight_bytes = std::max(weight_bytes, static_cast<int64_t>(chosen_.weights->diff_weights_desc().get_size()));
    scratch_bytes = std::max(scratch_bytes, static_cast<int64_t>(chosen_.weights->scratchpad_desc().get_size()));
  }
  if (chosen_.own_weights) scratch_bytes = std::max(scratch_bytes, chosen_.own_weights->workspace_bytes());
  weight_offset_ = parts.add(weight_bytes);
  if (saves_x_) {
    saved_ = {x_->bytes()};
  } else {
    x_offset_ = parts.add(x_->bytes());
  }
  scratch_offset_ = parts.add(scratch_bytes);
  workspace_bytes_ = parts.bytes();
}

// That of the forward pass, then those of the others that differ from it.
std::string Conv2dCpu::engine() const {
  const std::string forward = chosen_.forward.impl_info_str();
  std::string result = forward;
  const auto add = [&](const std::string& name, const char* pass) {
    if (name != forward) result.append(", ").append(pass).append(" ").append(name);
  };
  if (chosen_.data) add(chosen_.data->impl_info_str(), "dx");
  if (chosen_.weights) add(chosen_.weights->impl_info_str(), "dw");
  if (chosen_.own_weights) add("loops", "dw");
  return result;
}

void Conv2dCpu::bind(const KernelArgs& args) {
  args_ = args;
  x_->bind(context_, args.x[0].data, saves_x_ ? args.saved[0] : onednn::at(args.workspace, x_offset_));
  dy_ = options_.relu ? onednn::at(args.workspace, masked_offset_) : args.dy.data;
  bind_forward();
  if (chosen_.data) bind_backward_data();
  if (chosen_.weights) bind_backward_weights();
}

void Conv2dCpu::bind_forward() {
  const auto& pd = chosen_.forward;
  if (constant_) {
    void* weight = args_.w[0].data;
    if (dense_weight_) {
      dense_weight_->bind_constant(context_, weight);
      weight = dense_weight_->target().get_data_handle();
    }
    forward_weight_->bind_constant(context_, weight);
    dense_weight_.reset();
  } else {
    forward_weight_->bind(context_, args_.w[0].data, onednn::at(args_.workspace, weight_offset_));
  }
  onednn::Arguments arguments{{DNNL_ARG_SRC, x_->target()},
                              {DNNL_ARG_WEIGHTS, forward_weight_->target()},
                              {DNNL_ARG_DST, {pd.dst_desc(), context_.engine, args_.y.data}},
                              {DNNL_ARG_SCRATCHPAD, scratchpad(pd.scratchpad_desc())}};
  if (options_.bias) arguments.insert({DNNL_ARG_BIAS, {pd.bias_desc(), context_.engine, args_.w[1].data}});
  if (chosen_.adding == Adding::kFused) {
    arguments.insert(
        {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, {pd.dst_desc(), context_.engine, args_.x[1].data}});
  }
  forward_ = onednn::Call(convolution_forward(pd), std::move(arguments));
}

void Conv2dCpu::bind_backward_data() {
  const auto& pd = *chosen_.data;
  data_weight_->bind(context_, args_.w[0].data, onednn::at(args_.workspace, weight_offset_));
  backward_data_ = onednn::Call(convolution_backward_data(pd),
                                {{DNNL_ARG_DIFF_DST, {pd.diff_dst_desc(), context_.engine, dy_}},
                                 {DNNL_ARG_WEIGHTS, data_weight_->target()},
                                 {DNNL_ARG_DIFF_SRC, {pd.diff_src_desc(), context_.engine, args_.dx[0].data}},
                                 {DNNL_ARG_SCRATCHPAD, scratchpad(pd.scratchpad_desc())}});
}

void Conv2dCpu::bind_backward_weights() {
  const auto& pd = *chosen_.weights;
  void* canonical = args_.dw[0].data;
  dw_->bind(context_, dw_->copies() ? onednn::at(args_.workspace, weight_offset_) : canonical, canonical);
  onednn::Arguments arguments{{DNNL_ARG_SRC, x_->target()},
                              {DNNL_ARG_DIFF_DST, {pd.diff_dst_desc(), context_.engine, dy_}},
                              {DNNL_ARG_DIFF_WEIGHTS, dw_->source()},
                              {DNNL_ARG_SCRATCHPAD, scratchpad(pd.scratchpad_desc())}};
  if (options_.bias) {
    arguments.insert({DNNL_ARG_DIFF_BIAS, {pd.diff_bias_desc(), context_.engine, args_.dw[1].data}});
  }
  backward_weights_ = onednn::Call(convolution_backward_weights(pd), std::move(arguments));
}

void Conv2dCpu::forward(Stream&) {
  x_->run(context_);
  if (!constant_) forward_weight_->run(context_);
  forward_.run(context_);
  if (chosen_.adding != Adding::kApart) return;
  with_elements(output_.dtype, [&](auto zero) {
    using T = decltype(zero);
    add_after(args_.y.as<T>(), args_.x[1].as<T>());
  });
}

template <class T>
void Conv2dCpu::add_after(T* y, const T* x) const {
  const float least = options_.relu ? 0 : -std::numeric_limits<float>::infinity();
  for_ranges(planes(output_).elements(), kGrain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
    for (int64_t i = begin; i < end; ++i) {
      const float sum = load(y + i) + load(x + i);
      store(y + i, sum < least ? least : sum);
    }
  });
}

void Conv2dCpu::backward(int part, Stream&) {
  const BackwardPart& wanted = parts_[static_cast<size_t>(part)];
  if (options_.relu) relu_gradient(output_, args_.y.data, args_.dy.data, dy_);
  if (wanted.dw && chosen_.own_weights) {
    float* const dbias = options_.bias ? args_.dw[1].as<float>() : nullptr;
    chosen_.own_weights->run(args_.x[0].data, dy_, args_.dw[0].as<float>(), dbias,
                             onednn::at(args_.workspace, scratch_offset_));
  } else if (wanted.dw) {
    backward_weights_.run(context_);
    dw_->run(context_);
  }
  if (!wanted.dx.empty()) {
    data_weight_->run(context_);
    backward_data_.run(context_);
  }
}

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Conv2d& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  if (auto winograd = make_winograd_kernel(layer, request)) return winograd;
  return std::make_unique<Conv2dCpu>(layer, request);
}

}  // namespace convoy
