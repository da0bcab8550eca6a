#include "layers/normalize.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

constexpr int kMostChannels = 64;  // of one pass; their numbers are arguments of the kernel

// y = x · scale + shift, by channel.
struct Channels {
  struct {
    float scale, shift;
  } at[kMostChannels];
};

// The `count` channels from `first` on of all pixels; element i is one of these.
template <class T, bool kBgr>
struct Normalized {
  const uint8_t* x;
  T* y;
  int64_t all;  // of a pixel
  int first, count;
  Channels channels;
  template <int N>
  __device__ void run(int64_t i) const {
    int c = static_cast<int>(i % count);
    const int64_t at = count == all ? i : i / count * all + first + c;
    Pack<uint8_t, N> pixels;
    if constexpr (kBgr) {
      for (int k = 0; k < N; ++k) pixels.at[k] = x[at + k + 2 - 2 * ((c + k) % 3)];
    } else {
      pixels = load<N>(x + at);
    }
    Pack<T, N> pack;
    for (int k = 0; k < N; ++k) {
      pack.at[k] = from_float<T>(fmaf(static_cast<float>(pixels.at[k]), channels.at[c].scale, channels.at[c].shift));
      c = c + 1 == count ? 0 : c + 1;
    }
    store(y + at, pack);
  }
};

class NormalizeCuda : public CudaKernel {
 public:
  NormalizeCuda(const Normalize& layer, const CompileRequest& request) : bgr_(layer.bgr()) {
    inputs_ = {{request.inputs[0].shape, Dtype::kU8}};
    output_ = activation_cuda({request.inputs[0].shape, request.compute});
    passes_.resize(static_cast<size_t>((output_.shape.c + kMostChannels - 1) / kMostChannels));
    for (int c = 0; c < output_.shape.c; ++c) {
      const double mean = layer.mean(c), std = layer.std(c);
      passes_[static_cast<size_t>(c / kMostChannels)].at[c % kMostChannels] = {static_cast<float>(1 / (255 * std)),
                                                                               static_cast<float>(-mean / std)};
    }
  }
  void forward(Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      auto* const y = args_.y.as<decltype(zero)>();
      bgr_ ? run<true>(y, stream) : run<false>(y, stream);
    });
  }

 private:
  template <bool kBgr, class T>
  void run(T* y, Stream& stream) const {
    const int all = output_.shape.c;
    int first = 0;
    for (const Channels& channels : passes_) {
      const int count = std::min(all - first, kMostChannels);
      const Normalized<T, kBgr> op{args_.x[0].as<uint8_t>(), y, all, first, count, channels};
      const bool in_packs = count == all && aligned<kPack<T>>(op.x, op.y);
      for_each<kPack<T>>(op, output_.shape.elements() / all * count, in_packs, stream);
      first += count;
    }
  }

  std::vector<Channels> passes_;
  bool bgr_;
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Normalize& layer, const CudaCompile& compile) {
  const Dtype found = compile.request.inputs[0].dtype;
  if (found != Dtype::kU8) throw Error(ExitCode::kConfig, std::string("expected u8 pixels, found ") + to_string(found));
  return std::make_unique<NormalizeCuda>(layer, compile.request);
}

}  // namespace convoy
