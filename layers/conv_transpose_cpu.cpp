// Transposed convolution with oneDNN, which chooses the layouts, as for conv2d.
#include "layers/conv_transpose.h"

#include <algorithm>

#include "layers/kernel_cpu.h"
#include "layers/onednn_cpu.h"

namespace convoy {
namespace {

using dnnl::deconvolution_backward_data;
using dnnl::deconvolution_backward_weights;
using dnnl::deconvolution_forward;
using onednn::Desc;
using onednn::Staging;
using Tag = dnnl::memory::format_tag;

constexpr auto kDirect = dnnl::algorithm::deconvolution_direct;

// The primitives for one pair of layouts.
struct Primitives {
  deconvolution_forward::primitive_desc forward;
  std::optional<deconvolution_backward_data::primitive_desc> data;
  std::optional<deconvolution_backward_weights::primitive_desc> weights;
  Layout x, y;
};

class ConvTransposeCpu : public CpuKernel {
 public:
  ConvTransposeCpu(const ConvTranspose& layer, const CompileRequest& request);
  std::string engine() const override { return chosen_.forward.impl_info_str(); }
  bool backward_reads_input(int) const override { return chosen_.weights.has_value(); }
  void bind(const KernelArgs& args) override;
  void forward(Stream&) override {
    forward_weight_->run(context_);
    forward_.run(context_);
  }
  void backward(int part, Stream&) override;

 private:
  Primitives choose(const CompileRequest& request) const;
  std::optional<Primitives> try_layouts(const CompileRequest& request, Tag tag) const;
  void plan_memory();
  dnnl::memory memory(const Desc& desc, void* data) const { return {desc, context_.engine, data}; }
  dnnl::memory scratchpad(const Desc& desc) const { return memory(desc, onednn::at(args_.workspace, scratch_offset_)); }

  const ConvTranspose layer_;
  Shape weight_, y_shape_;
  onednn::Context context_;
  Primitives chosen_;
  // The workspace: weights, or their gradient, as oneDNN wants them | scratchpad.
  int64_t weight_offset_ = 0, scratch_offset_ = 0;

  std::optional<Staging> forward_weight_, data_weight_, dw_;
  onednn::Call forward_, backward_data_, backward_weights_;
};

ConvTransposeCpu::ConvTransposeCpu(const ConvTranspose& layer, const CompileRequest& request)
    : layer_(layer),
      weight_(layer.parameters(std::vector{request.inputs[0].shape})[0].shape),
      y_shape_(layer.shape(std::vector{request.inputs[0].shape})),
      chosen_(onednn::available(request.inputs[0].dtype, [&] { return choose(request); })) {
  const ValueType& offered = request.inputs[0];
  inputs_ = {{offered.shape, offered.dtype, chosen_.x}};
  output_ = {y_shape_, offered.dtype, chosen_.y};
  if (chosen_.weights) parts_.push_back({"backward_weights", {}, true});
  if (chosen_.data) parts_.push_back({"backward_data", {0}, false});
  plan_memory();
}

Primitives ConvTransposeCpu::choose(const CompileRequest& request) const {
  for (const Tag tag : {Tag::any, Tag::nChw16c, Tag::nChw8c, Tag::nhwc}) {
    if (std::optional<Primitives> found = try_layouts(request, tag)) return *found;
  }
  throw dnnl::error(dnnl_unimplemented, "no transposed convolution for these shapes");
}

std::optional<Primitives> ConvTransposeCpu::try_layouts(const CompileRequest& request, Tag tag) const {
  const auto& [shape, dtype, offered] = request.inputs[0];
  const auto [h, w] = layer_.axes(shape);
  const bool has_bias = layer_.options().bias, train = request.mode == Mode::kTrain;
  const Desc x = onednn::activation(shape, dtype, tag), y = onednn::activation(y_shape_, dtype, tag);
  const Desc weights = onednn::weights_any(weight_, 1, dtype), dw = onednn::weights_any(weight_, 1, Dtype::kF32);
  const Desc bias = has_bias ? onednn::vector(weight_.n) : Desc();
  const dnnl::primitive_attr plain = onednn::attributes();
  const onednn::Dims stride{h.stride, w.stride}, dilation{0, 0}, low{h.low, w.low}, high{h.high, w.high};
  try {
    Primitives result;
    result.forward = onednn::forward_desc<deconvolution_forward>(
        context_, plain, dnnl::prop_kind::forward_training, kDirect, x, weights, bias, y, stride, dilation, low, high);
    const Desc chosen_x = result.forward.src_desc(), chosen_y = result.forward.dst_desc();
    const std::optional<Layout> of_x = onednn::layout_of(chosen_x, request.inputs[0]);
    const std::optional<Layout> of_y = onednn::layout_of(chosen_y, {y_shape_, dtype});
    if (!of_x || !of_y) return std::nullopt;
    result.x = *of_x;
    result.y = *of_y;
    if (train && request.wants_dx[0]) {
      result.data = onednn::backward_desc<deconvolution_backward_data>(
          context_, plain, result.forward, kDirect, chosen_x, weights, chosen_y, stride, dilation, low, high);
    }
    if (train && request.wants_dw) {
      result.weights = onednn::backward_desc<deconvolution_backward_weights>(
          context_, plain, result.forward, kDirect, chosen_x, dw, bias, chosen_y, stride, dilation, low, high);
    }
    return result;
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented) return std::nullopt;
    throw;
  }
}

void ConvTransposeCpu::plan_memory() {
  const Desc canonical = onednn::weights(weight_, 1, Dtype::kF32);
  int64_t weight_bytes = 0, scratch_bytes = 0;
  const auto needs = [&](const Staging& staging, const Desc& scratchpad) {
    weight_bytes = std::max(weight_bytes, staging.bytes());
    scratch_bytes = std::max(scratch_bytes, static_cast<int64_t>(scratchpad.get_size()));
  };
  forward_weight_.emplace(context_, canonical, chosen_.forward.weights_desc());
  needs(*forward_weight_, chosen_.forward.scratchpad_desc());
  if (chosen_.data) {
    data_weight_.emplace(context_, canonical, chosen_.data->weights_desc());
    needs(*data_weight_, chosen_.data->scratchpad_desc());
  }
  if (chosen_.weights) {
    const Desc diff = chosen_.weights->diff_weights_desc();
    dw_.emplace(context_, diff, canonical);
    needs(*dw_, chosen_.weights->scratchpad_desc());
    weight_bytes = std::max(weight_bytes, static_cast<int64_t>(diff.get_size()));
  }
  onednn::WorkspaceParts parts;
  weight_offset_ = parts.add(weight_bytes);
  scratch_offset_ = parts.add(scratch_bytes);
  workspace_bytes_ = parts.bytes();
}

void ConvTransposeCpu::bind(const KernelArgs& args) {
  args_ = args;
  void* const staged = onednn::at(args.workspace, weight_offset_);
  const bool has_bias = layer_.options().bias;
  forward_weight_->bind(context_, args.w[0].data, staged);
  onednn::Arguments forward{{DNNL_ARG_SRC, memory(chosen_.forward.src_desc(), args.x[0].data)},
                            {DNNL_ARG_WEIGHTS, forward_weight_->target()},
                            {DNNL_ARG_DST, memory(chosen_.forward.dst_desc(), args.y.data)},
                            {DNNL_ARG_SCRATCHPAD, scratchpad(chosen_.forward.scratchpad_desc())}};
  if (has_bias) forward.insert({DNNL_ARG_BIAS, memory(chosen_.forward.bias_desc(), args.w[1].data)});
  forward_ = onednn::Call(deconvolution_forward(chosen_.forward), std::move(forward));
  if (chosen_.data) {
    data_weight_->bind(context_, args.w[0].data, staged);
    backward_data_ = onednn::Call(deconvolution_backward_data(*chosen_.data),
                                  {{DNNL_ARG_DIFF_DST, memory(chosen_.data->diff_dst_desc(), args.dy.data)},
                                   {DNNL_ARG_WEIGHTS, data_weight_->target()},
                                   {DNNL_ARG_DIFF_SRC, memory(chosen_.data->diff_src_desc(), args.dx[0].data)},
                                   {DNNL_ARG_SCRATCHPAD, scratchpad(chosen_.data->scratchpad_desc())}});
  }
  if (!chosen_.weights) return;
  void* const canonical = args.dw[0].data;
  dw_->bind(context_, dw_->copies() ? staged : canonical, canonical);
  onednn::Arguments backward{{DNNL_ARG_SRC, memory(chosen_.weights->src_desc(), args.x[0].data)},
                             {DNNL_ARG_DIFF_DST, memory(chosen_.weights->diff_dst_desc(), args.dy.data)},
                             {DNNL_ARG_DIFF_WEIGHTS, dw_->source()},
                             {DNNL_ARG_SCRATCHPAD, scratchpad(chosen_.weights->scratchpad_desc())}};
  if (has_bias) backward.insert({DNNL_ARG_DIFF_BIAS, memory(chosen_.weights->diff_bias_desc(), args.dw[1].data)});
  backward_weights_ = onednn::Call(deconvolution_backward_weights(*chosen_.weights), std::move(backward));
}

void ConvTransposeCpu::backward(int part, Stream&) {
  if (parts_[static_cast<size_t>(part)].dw) {
    backward_weights_.run(context_);
    dw_->run(context_);
  } else {
    data_weight_->run(context_);
    backward_data_.run(context_);
  }
}

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const ConvTranspose& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<ConvTransposeCpu>(layer, request);
}

}  // namespace convoy
