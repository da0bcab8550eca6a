// Convolution with the engines of the libraries, and what they leave to be done around them.
#include "layers/conv2d.h"

#include "core/device/copy_cuda.h"
#include "core/device/for_each_cuda.h"
#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"
#include "layers/libraries_cuda.h"

namespace convoy {
namespace {

using Pass = ConvolutionSpec::Pass;

// y + bias + other, and relu: for engines that cannot do that themselves.
template <class T>
struct AddBias {
  const T* bias;   // null: none
  const T* other;  // likewise
  bool relu;
  int channels;
  T* y;
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<T, N> pack = load<N>(y + i);
    Pack<T, N> more = {};
    if (other != nullptr) more = load<N>(other + i);
    for (int k = 0; k < N; ++k) {
      float value = to_float(pack.at[k]) + (bias == nullptr ? 0 : to_float(bias[(i + k) % channels]));
      if (other != nullptr) value += to_float(more.at[k]);
      pack.at[k] = from_float<T>(relu && value <= 0 ? 0 : value);
    }
    store(y + i, pack);
  }
};

class Conv2dCuda : public CudaKernel {
 public:
  Conv2dCuda(const Conv2d& layer, const CudaCompile& compile);
  std::string engine() const override;
  bool backward_reads_input(int) const override { return weights_ != nullptr; }
  bool backward_reads_output() const override { return options_.relu && !parts_.empty(); }
  void forward(Stream& stream) override;
  void backward(int part, Stream& stream) override;

 private:
  Shape y_shape(const Shape& x) const {
    const WindowAxes axes = window_axes(options_.window, x);
    return {x.n, axes.h.output, axes.w.output, options_.filters};
  }
  void choose_forward(CudaLibraries& libraries);
  void choose_weights(CudaLibraries& libraries);
  void plan_memory();
  int64_t rows() const { return output_.shape.elements() / output_.shape.c; }
  // Parameters as the engines read them.
  const void* parameter(size_t i) const {
    return output_.dtype == Dtype::kF32 ? args_.w[i].data : args_.shadow[i].data;
  }
  std::byte* workspace(int64_t offset) const { return static_cast<std::byte*>(args_.workspace) + offset; }
  // The gradient behind the relu; with `dw`, also the bias's.
  const void* masked_gradient(bool dw, Stream& stream);
  void backward_weights(const void* dy, Stream& stream);

  Conv2dOptions options_;
  ConvolutionSpec spec_;  // of the forward pass, but for bias and relu
  std::unique_ptr<Convolution> forward_, data_, weights_;
  bool adds_bias_ = false;        // after forward_: bias, what is added, and relu
  Dtype dw_dtype_ = Dtype::kF32;  // of what weights_ writes
  // The workspace: dy behind the relu | dw in 16 bits | scratch of one engine or of the sums.
  int64_t dw_offset_ = 0, scratch_offset_ = 0;
};

Conv2dCuda::Conv2dCuda(const Conv2d& layer, const CudaCompile& compile) : options_(layer.options()) {
  const CompileRequest& request = compile.request;
  inputs_ = {activation_cuda(request.inputs[0])};
  const auto [shape, dtype, layout] = inputs_[0];
  output_ = {y_shape(shape), dtype};
  if (options_.add) inputs_.push_back(output_);
  CHECK(!options_.add || request.mode == Mode::kEval, "a convolution that adds has no gradient");
  spec_ = {.x = shape,
           .w = layer.parameters(std::vector{shape})[0].shape,
           .y = output_.shape,
           .axes = window_axes(options_.window, shape),
           .groups = options_.groups,
           .dtype = dtype,
           .result = dtype};
  choose_forward(compile.libraries);
  const bool train = request.mode == Mode::kTrain, dx = train && request.wants_dx[0], dw = train && request.wants_dw;
  if (dx) {
    ConvolutionSpec spec = spec_;
    spec.pass = Pass::kBackwardData;
    data_ = compile.libraries.convolution(spec);
    if (!data_) data_ = make_direct_convolution(spec);
  }
  if (dw) choose_weights(compile.libraries);
  if (options_.relu && dx && dw) {
    parts_ = {{"backward", {0}, true}};  // one part: dy behind the relu is computed once
  } else {
    if (dw) parts_.push_back({"backward_weights", {}, true});
    if (dx) parts_.push_back({"backward_data", {0}, false});
  }
  plan_memory();
}

void Conv2dCuda::choose_forward(CudaLibraries& libraries) {
  ConvolutionSpec spec = spec_;
  spec.bias = options_.bias;
  spec.relu = options_.relu;
  if (!options_.add) forward_ = libraries.convolution(spec);
  if (!forward_ && (spec.bias || spec.relu || options_.add)) {
    forward_ = libraries.convolution(spec_);
    adds_bias_ = forward_ != nullptr;
  }
  if (forward_) return;
  forward_ = make_direct_convolution(options_.add ? spec_ : spec);
  adds_bias_ = options_.add;
}

void Conv2dCuda::choose_weights(CudaLibraries& libraries) {
  ConvolutionSpec spec = spec_;
  spec.pass = Pass::kBackwardWeights;
  for (Dtype result : {Dtype::kF32, spec_.dtype}) {
    spec.result = dw_dtype_ = result;
    weights_ = libraries.convolution(spec);
    if (weights_) return;
  }
  spec.result = dw_dtype_ = Dtype::kF32;
  weights_ = make_direct_convolution(spec);
}

std::string Conv2dCuda::engine() const {
  std::string result = forward_->engine();
  for (const Convolution* it : {data_.get(), weights_.get()}) {
    if (it != nullptr) result.append("/").append(it->engine());
  }
  return result;
}

void Conv2dCuda::plan_memory() {
  int64_t bytes = options_.relu && !parts_.empty() ? output_.bytes() : 0;
  const auto add = [&](int64_t more) {
    constexpr int64_t kAlignment = 256;
    const int64_t offset = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    bytes = offset + more;
    return offset;
  };
  dw_offset_ = add(dw_dtype_ == Dtype::kF32 ? 0 : ValueType{spec_.w, dw_dtype_}.bytes());
  int64_t scratch = weights_ && options_.bias ? column_sums_workspace(rows(), output_.shape.c) : 0;
  for (const Convolution* it : {forward_.get(), data_.get(), weights_.get()}) {
    if (it != nullptr) scratch = std::max(scratch, it->workspace_bytes());
  }
  scratch_offset_ = add(scratch);
  workspace_bytes_ = bytes;
}

void Conv2dCuda::forward(Stream& stream) {
  const void* bias = options_.bias ? parameter(1) : nullptr;
  forward_->run(args_.x[0].data, parameter(0), adds_bias_ ? nullptr : bias, args_.y.data, workspace(scratch_offset_),
                stream);
  if (!adds_bias_) return;
  with_elements_cuda(output_.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* other = options_.add ? args_.x[1].as<T>() : nullptr;
    const AddBias<T> op{static_cast<const T*>(bias), other, options_.relu, output_.shape.c, args_.y.as<T>()};
    for_each<kPack<T>>(op, output_.shape.elements(), aligned<kPack<T>>(op.y, op.other), stream);
  });
}

const void* Conv2dCuda::masked_gradient(bool dw, Stream& stream) {
  const void* gate = options_.relu ? args_.y.data : nullptr;
  void* masked = options_.relu ? workspace(0) : nullptr;
  if (dw && options_.bias) {
    column_sums_cuda(output_.dtype, rows(), output_.shape.c, args_.dy.data, gate, masked, args_.dw[1].as<float>(),
                     workspace(scratch_offset_), stream);
  } else if (options_.relu) {
    relu_gradient_cuda(output_, gate, args_.dy.data, masked, stream);
  }
  return options_.relu ? masked : args_.dy.data;
}

void Conv2dCuda::backward_weights(const void* dy, Stream& stream) {
  void* const dw = args_.dw[0].data;
  const bool converts = dw_dtype_ != Dtype::kF32;
  void* const result = converts ? workspace(dw_offset_) : dw;
  weights_->run(args_.x[0].data, dy, nullptr, result, workspace(scratch_offset_), stream);
  if (converts) convert_cuda(dw, Dtype::kF32, result, dw_dtype_, spec_.w.elements(), stream);
}

void Conv2dCuda::backward(int part, Stream& stream) {
  const BackwardPart& wanted = parts_[static_cast<size_t>(part)];
  const void* dy = masked_gradient(wanted.dw, stream);
  if (wanted.dw) backward_weights(dy, stream);
  if (!wanted.dx.empty()) {
    data_->run(dy, parameter(0), nullptr, args_.dx[0].data, workspace(scratch_offset_), stream);
  }
}

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Conv2d& layer, const CudaCompile& compile) {
  return std::make_unique<Conv2dCuda>(layer, compile);
}

}  // namespace convoy
