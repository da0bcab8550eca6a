// One thread a pack of channels of one pixel that it writes.  Backward gathers, as on the CPU.
#include "layers/upsample.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

struct Images {
  UpsampleAxis h, w;
  int channels;

  __device__ int64_t input(int64_t image, int row, int column, int channel) const {
    return ((image * h.input + row) * w.input + column) * channels + channel;
  }
  __device__ int64_t output(int64_t image, int row, int column, int channel) const {
    return ((image * h.input * h.scale + row) * w.input * w.scale + column) * channels + channel;
  }
};

template <class T>
struct Forward {
  const T* x;
  T* y;
  Images images;
  template <int N>
  __device__ void run(int64_t i) const {
    const auto& [h, w, channels] = images;
    const int height = h.input * h.scale, width = w.input * w.scale, channel = static_cast<int>(i % channels);
    const int64_t pixel = i / channels, row = pixel / width, image = row / height;
    const UpsampleSource down = source_of(h, static_cast<int>(row % height));
    const UpsampleSource across = source_of(w, static_cast<int>(pixel % width));
    const auto at = [&](int ih, int iw) { return load<N>(x + images.input(image, ih, iw, channel)); };
    Pack<T, N> pack = at(down.first, across.first);
    if (h.bilinear) {
      const Pack<T, N> right = at(down.first, across.second);
      const Pack<T, N> below = at(down.second, across.first), beyond = at(down.second, across.second);
      for (int k = 0; k < N; ++k) {
        const float upper = to_float(pack.at[k]) * (1 - across.share) + to_float(right.at[k]) * across.share;
        const float lower = to_float(below.at[k]) * (1 - across.share) + to_float(beyond.at[k]) * across.share;
        pack.at[k] = from_float<T>(upper * (1 - down.share) + lower * down.share);
      }
    }
    store(y + i, pack);
  }
};

template <class T>
struct Backward {
  const T* dy;
  T* dx;
  Images images;
  template <int N>
  __device__ void run(int64_t i) const {
    const auto& [h, w, channels] = images;
    const int64_t pixel = i / channels, row = pixel / w.input, image = row / h.input;
    const int ih = static_cast<int>(row % h.input), iw = static_cast<int>(pixel % w.input);
    const UpsampleReaders rows = readers_of(h, ih), columns = readers_of(w, iw);
    float sum[N] = {};
    for (int oh = rows.begin; oh < rows.end; ++oh) {
      const float down = weight_of(h, ih, oh);
      for (int ow = columns.begin; ow < columns.end; ++ow) {
        const float weight = down * weight_of(w, iw, ow);
        const Pack<T, N> pack = load<N>(dy + images.output(image, oh, ow, static_cast<int>(i % channels)));
        for (int k = 0; k < N; ++k) sum[k] += to_float(pack.at[k]) * weight;
      }
    }
    Pack<T, N> result;
    for (int k = 0; k < N; ++k) result.at[k] = from_float<T>(sum[k]);
    store(dx + i, result);
  }
};

class UpsampleCuda : public CudaKernel {
 public:
  UpsampleCuda(const Upsample& layer, const CompileRequest& request) {
    inputs_ = {activation_cuda(request.inputs[0])};
    const Shape& x = inputs_[0].shape;
    const auto& [scale_h, scale_w, bilinear] = layer.options();
    output_ = {layer.shape(std::vector{x}), inputs_[0].dtype};
    images_ = {{x.h, scale_h, bilinear}, {x.w, scale_w, bilinear}, x.c};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  void forward(Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Forward<T> op{args_.x[0].as<T>(), args_.y.as<T>(), images_};
      for_each<kPack<T>>(op, output_.shape.elements(), packs<T>(images_.channels, op.x, op.y), stream);
    });
  }
  void backward(int, Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Backward<T> op{args_.dy.as<T>(), args_.dx[0].as<T>(), images_};
      for_each<kPack<T>>(op, inputs_[0].shape.elements(), packs<T>(images_.channels, op.dy, op.dx), stream);
    });
  }

 private:
  Images images_{};
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Upsample& layer, const CudaCompile& compile) {
  return std::make_unique<UpsampleCuda>(layer, compile.request);
}

}  // namespace convoy
