// Transposed convolution as the gradient of a convolution from y to x: its backward-data pass is our forward pass, its
// forward pass our gradient of x.  Its weights are ours with filters and channels exchanged.
#include "layers/conv_transpose.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"
#include "layers/libraries_cuda.h"

namespace convoy {
namespace {

using Pass = ConvolutionSpec::Pass;

// to [C,h,w,O] = from [O,h,w,C].
template <class From, class To>
struct Exchange {
  const From* from;
  To* to;
  Shape shape;  // of `from`
  template <int N>
  __device__ void run(int64_t i) const {
    const int64_t places = int64_t{shape.h} * shape.w, o = i % shape.n, place = i / shape.n % places;
    const int64_t c = i / shape.n / places;
    to[i] = from_float<To>(to_float(from[(o * places + place) * shape.c + c]));
  }
};

// y = sums + bias.
template <class From, class T>
struct AddBias {
  const From* sums;
  const T* bias;
  int channels;
  T* y;
  template <int N>
  __device__ void run(int64_t i) const {
    const Pack<From, N> from = load<N>(sums + i);
    Pack<T, N> to;
    for (int k = 0; k < N; ++k) to.at[k] = from_float<T>(to_float(from.at[k]) + to_float(bias[(i + k) % channels]));
    store(y + i, to);
  }
};

class ConvTransposeCuda : public CudaKernel {
 public:
  ConvTransposeCuda(const ConvTranspose& layer, const CudaCompile& compile);
  std::string engine() const override;
  bool backward_reads_input(int) const override { return weights_ != nullptr; }
  void forward(Stream& stream) override;
  void backward(int part, Stream& stream) override;

 private:
  std::unique_ptr<Convolution> convolution(CudaLibraries& libraries, Pass pass) const;
  void choose_forward(CudaLibraries& libraries);
  void choose_weights(CudaLibraries& libraries);
  void plan_memory();
  int64_t rows() const { return output_.shape.elements() / output_.shape.c; }
  const void* parameter(size_t i) const {
    return output_.dtype == Dtype::kF32 ? args_.w[i].data : args_.shadow[i].data;
  }
  std::byte* workspace(int64_t offset) const { return static_cast<std::byte*>(args_.workspace) + offset; }
  const void* exchanged_weight(Stream& stream) const;
  void backward_weights(Stream& stream);

  ConvTransposeOptions options_;
  Shape weight_;          // ours
  ConvolutionSpec spec_;  // of the convolution from y to x
  std::unique_ptr<Convolution> forward_, data_, weights_;
  Dtype dw_dtype_ = Dtype::kF32;    // of what weights_ writes
  Dtype sums_dtype_ = Dtype::kF32;  // of what forward_ writes
  // The workspace: weights, or their gradient, of the convolution | y without bias | scratch of one engine or of sums.
  int64_t sums_offset_ = 0, scratch_offset_ = 0;
};

ConvTransposeCuda::ConvTransposeCuda(const ConvTranspose& layer, const CudaCompile& compile)
    : options_(layer.options()) {
  const CompileRequest& request = compile.request;
  inputs_ = {activation_cuda(request.inputs[0])};
  const Shape x = inputs_[0].shape;
  const Dtype dtype = inputs_[0].dtype;
  output_ = {layer.shape(std::vector{x}), dtype};
  weight_ = layer.parameters(std::vector{x})[0].shape;
  spec_ = {.x = output_.shape,
           .w = {weight_.c, weight_.h, weight_.w, weight_.n},
           .y = x,
           .axes = layer.axes(x),
           .dtype = dtype,
           .result = dtype};
  choose_forward(compile.libraries);
  if (request.mode == Mode::kTrain && request.wants_dw) {
    choose_weights(compile.libraries);
    parts_.push_back({"backward_weights", {}, true});
  }
  if (request.mode == Mode::kTrain && request.wants_dx[0]) {
    data_ = convolution(compile.libraries, Pass::kForward);
    parts_.push_back({"backward_data", {0}, false});
  }
  plan_memory();
}

// The library's, else our own.
std::unique_ptr<Convolution> ConvTransposeCuda::convolution(CudaLibraries& libraries, Pass pass) const {
  ConvolutionSpec spec = spec_;
  spec.pass = pass;
  std::unique_ptr<Convolution> result = libraries.convolution(spec);
  return result ? std::move(result) : make_direct_convolution(spec);
}

// Where a bias is added, sums in f32 are rounded once; in 16 bits, if that is all there is, twice.
void ConvTransposeCuda::choose_forward(CudaLibraries& libraries) {
  ConvolutionSpec spec = spec_;
  spec.pass = Pass::kBackwardData;
  if (options_.bias && spec.dtype != Dtype::kF32) {
    spec.result = sums_dtype_ = Dtype::kF32;
    forward_ = libraries.convolution(spec);
    if (forward_) return;
  }
  sums_dtype_ = spec_.dtype;
  forward_ = convolution(libraries, Pass::kBackwardData);
}

void ConvTransposeCuda::choose_weights(CudaLibraries& libraries) {
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

std::string ConvTransposeCuda::engine() const {
  std::string result = forward_->engine();
  for (const Convolution* it : {data_.get(), weights_.get()}) {
    if (it != nullptr) result.append("/").append(it->engine());
  }
  return result;
}

void ConvTransposeCuda::plan_memory() {
  const auto aligned_to = [](int64_t bytes) { return (bytes + 255) / 256 * 256; };
  const int64_t weight =
      std::max(ValueType{weight_, spec_.dtype}.bytes(), weights_ ? ValueType{weight_, dw_dtype_}.bytes() : int64_t{0});
  sums_offset_ = aligned_to(weight);
  const bool apart = sums_dtype_ != spec_.dtype;  // else y itself holds them
  scratch_offset_ = aligned_to(sums_offset_ + (apart ? ValueType{output_.shape, sums_dtype_}.bytes() : 0));
  int64_t scratch = weights_ && options_.bias ? column_sums_workspace(rows(), output_.shape.c) : 0;
  for (const Convolution* it : {forward_.get(), data_.get(), weights_.get()}) {
    if (it != nullptr) scratch = std::max(scratch, it->workspace_bytes());
  }
  workspace_bytes_ = scratch_offset_ + scratch;
}

const void* ConvTransposeCuda::exchanged_weight(Stream& stream) const {
  with_elements_cuda(output_.dtype, [&](auto zero) {
    using T = decltype(zero);
    const Exchange<T, T> op{static_cast<const T*>(parameter(0)), reinterpret_cast<T*>(workspace(0)), weight_};
    for_each<1>(op, weight_.elements(), false, stream);
  });
  return workspace(0);
}

void ConvTransposeCuda::forward(Stream& stream) {
  void* const sums = sums_dtype_ == spec_.dtype ? args_.y.data : workspace(sums_offset_);
  forward_->run(args_.x[0].data, exchanged_weight(stream), nullptr, sums, workspace(scratch_offset_), stream);
  if (!options_.bias) return;
  with_elements_cuda(output_.dtype, [&](auto zero) {
    with_elements_cuda(sums_dtype_, [&](auto sum) {
      using T = decltype(zero);
      using From = decltype(sum);
      constexpr int kN = std::min(kPack<T>, kPack<From>);
      const AddBias<From, T> op{static_cast<const From*>(sums), static_cast<const T*>(parameter(1)), output_.shape.c,
                                args_.y.as<T>()};
      for_each<kN>(op, output_.shape.elements(), aligned<kN>(op.sums) && aligned<kN>(op.y), stream);
    });
  });
}

void ConvTransposeCuda::backward_weights(Stream& stream) {
  void* const scratch = workspace(scratch_offset_);
  weights_->run(args_.dy.data, args_.x[0].data, nullptr, workspace(0), scratch, stream);
  with_elements_cuda(dw_dtype_, [&](auto zero) {
    using T = decltype(zero);
    const Exchange<T, float> op{reinterpret_cast<const T*>(workspace(0)), args_.dw[0].as<float>(), spec_.w};
    for_each<1>(op, weight_.elements(), false, stream);
  });
  if (!options_.bias) return;
  column_sums_cuda(output_.dtype, rows(), output_.shape.c, args_.dy.data, nullptr, nullptr, args_.dw[1].as<float>(),
                   scratch, stream);
}

void ConvTransposeCuda::backward(int part, Stream& stream) {
  if (parts_[static_cast<size_t>(part)].dw) return backward_weights(stream);
  data_->run(args_.dy.data, exchanged_weight(stream), nullptr, args_.dx[0].data, workspace(scratch_offset_), stream);
}

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const ConvTranspose& layer, const CudaCompile& compile) {
  return std::make_unique<ConvTransposeCuda>(layer, compile);
}

}  // namespace convoy
