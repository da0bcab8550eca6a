#include "layers/normalize.h"

#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

class NormalizeCpu : public CpuKernel {
 public:
  NormalizeCpu(const Normalize& layer, const CompileRequest& request) {
    inputs_ = {{request.inputs[0].shape, Dtype::kU8}};
    output_ = {request.inputs[0].shape, request.compute};
    // A pixel has only 256 values, so each channel is a table.
    for (int c = 0; c < output_.shape.c; ++c) {
      for (int pixel = 0; pixel < 256; ++pixel) {
        table_.push_back((static_cast<float>(pixel) / 255.0F - layer.mean(c)) / layer.std(c));
      }
    }
  }
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) { run(args_.y.as<decltype(zero)>()); });
  }

 private:
  template <class T>
  void run(T* y) const {
    const uint8_t* x = args_.x[0].as<uint8_t>();
    const float* table = table_.data();
    const int64_t channels = output_.shape.c;
    parallel_for(output_.shape.elements() / channels, kGrain / channels, [=](int64_t begin, int64_t end) {
      for (int64_t pixel = begin; pixel < end; ++pixel) {
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t i = pixel * channels + c;
          store(y + i, table[c * 256 + x[i]]);
        }
      }
    });
  }

  std::vector<float> table_;  // [C,256]
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Normalize& layer, const CompileRequest& request) {
  if (request.inputs[0].dtype != Dtype::kU8) {
    throw Error(ExitCode::kConfig, std::string("expected u8 pixels, found ") + to_string(request.inputs[0].dtype));
  }
  return std::make_unique<NormalizeCpu>(layer, request);
}

}  // namespace convoy
