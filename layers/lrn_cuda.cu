// A thread an element.  Backward computes the sums of its neighbours once more: they are in the cache, and a window is
// small.
#include "layers/lrn.h"

#include <cmath>

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

template <class T>
struct Forward {
  const T* x;
  T* y;
  LrnOptions options;
  int channels;
  template <int N>
  __device__ void run(int64_t i) const {
    y[i] = from_float<T>(to_float(x[i]) * powf(sum(i), -options.beta));
  }
  // s of element i.
  __device__ float sum(int64_t i) const {
    const auto c = static_cast<int>(i % channels);
    const T* const pixel = x + (i - c);
    const LrnWindow window = lrn_window(options.size, channels, c);
    float squares = 0;
    for (int j = window.first; j < window.end; ++j) squares += to_float(pixel[j]) * to_float(pixel[j]);
    return options.k + options.alpha / static_cast<float>(options.size) * squares;
  }
};

// dx[c] = dy[c] · s[c]^-beta - 2 · alpha · beta / size · x[c] · Σ dy[j] · x[j] · s[j]^(-beta - 1)   over the j whose
// windows contain c
template <class T>
struct Backward {
  Forward<T> forward;
  const T* dy;
  T* dx;
  template <int N>
  __device__ void run(int64_t i) const {
    const auto& [x, y, options, channels] = forward;
    const auto c = static_cast<int>(i % channels);
    const int64_t pixel = i - c;
    const LrnWindow readers = lrn_readers(options.size, channels, c);
    float sum = 0, own = 0;
    for (int j = readers.first; j < readers.end; ++j) {
      const float s = forward.sum(pixel + j), of_y = to_float(dy[pixel + j]) * powf(s, -options.beta);
      sum += of_y * to_float(x[pixel + j]) / s;
      if (j == c) own = of_y;
    }
    const float factor = 2 * options.alpha / static_cast<float>(options.size) * options.beta;
    dx[i] = from_float<T>(own - factor * to_float(x[i]) * sum);
  }
};

class LrnCuda : public CudaKernel {
 public:
  LrnCuda(const Lrn& layer, const CompileRequest& request) : options_(layer.options()) {
    output_ = activation_cuda(request.inputs[0]);
    inputs_ = {output_};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_input(int) const override { return true; }
  void forward(Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Forward<T> op{args_.x[0].as<T>(), args_.y.as<T>(), options_, output_.shape.c};
      for_each<1>(op, output_.shape.elements(), false, stream);
    });
  }
  void backward(int, Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Forward<T> forward{args_.x[0].as<T>(), nullptr, options_, output_.shape.c};
      for_each<1>(Backward<T>{forward, args_.dy.as<T>(), args_.dx[0].as<T>()}, output_.shape.elements(), false, stream);
    });
  }

 private:
  LrnOptions options_;
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Lrn& layer, const CudaCompile& compile) {
  return std::make_unique<LrnCuda>(layer, compile.request);
}

}  // namespace convoy
