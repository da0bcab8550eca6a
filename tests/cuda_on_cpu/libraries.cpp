// cuDNN and cuBLASLt as plain loops, with sums in double.
#include "tests/cuda_on_cpu/libraries.h"

#include <cstring>
#include <vector>

#include "core/device/stream_cuda.h"
#include "tests/cuda_on_cpu/streams.h"

namespace convoy {
namespace {

using Pass = ConvolutionSpec::Pass;

float load(Dtype dtype, const void* data, int64_t i) {
  if (dtype == Dtype::kF32) return static_cast<const float*>(data)[i];
  const uint16_t bits = static_cast<const uint16_t*>(data)[i];
  return dtype == Dtype::kBF16 ? bf16_to_f32(bits) : f16_to_f32(bits);
}

void store(Dtype dtype, void* data, int64_t i, float value) {
  if (dtype == Dtype::kF32) {
    static_cast<float*>(data)[i] = value;
  } else {
    static_cast<uint16_t*>(data)[i] = dtype == Dtype::kBF16 ? f32_to_bf16(value) : f32_to_f16(value);
  }
}

int64_t at(const Shape& shape, int n, int h, int w, int c) {
  return ((int64_t{n} * shape.h + h) * shape.w + w) * shape.c + c;
}

// body(element of x, element of w, element of y) for each product in y = conv(x, w).
template <class Body>
void for_each_product(const ConvolutionSpec& spec, Body body) {
  const auto& [h, w] = spec.axes;
  const int filters = spec.w.n / spec.groups, taps = spec.w.h * spec.w.w * spec.w.c;
  for (int64_t i = 0; i < spec.y.elements(); ++i) {
    const int o = static_cast<int>(i % spec.y.c), q = static_cast<int>(i / spec.y.c % spec.y.w);
    const int p = static_cast<int>(i / spec.y.c / spec.y.w % spec.y.h);
    const int n = static_cast<int>(i / spec.y.c / spec.y.w / spec.y.h);
    for (int tap = 0; tap < taps; ++tap) {
      const int c = tap % spec.w.c, s = tap / spec.w.c % spec.w.w, r = tap / spec.w.c / spec.w.w;
      const int row = p * h.stride - h.low + r * h.dilation, column = q * w.stride - w.low + s * w.dilation;
      if (row < 0 || row >= spec.x.h || column < 0 || column >= spec.x.w) continue;
      body(at(spec.x, n, row, column, o / filters * spec.w.c + c), at(spec.w, o, r, s, c), i);
    }
  }
}

std::vector<double> sums(const ConvolutionSpec& spec, const void* a, const void* b) {
  const auto value = [&](const void* data, int64_t i) { return double{load(spec.dtype, data, i)}; };
  std::vector<double> result;
  switch (spec.pass) {
    case Pass::kForward:
      result.resize(static_cast<size_t>(spec.y.elements()));
      for_each_product(
          spec, [&](int64_t x, int64_t w, int64_t y) { result[static_cast<size_t>(y)] += value(a, x) * value(b, w); });
      break;
    case Pass::kBackwardData:
      result.resize(static_cast<size_t>(spec.x.elements()));
      for_each_product(
          spec, [&](int64_t x, int64_t w, int64_t y) { result[static_cast<size_t>(x)] += value(a, y) * value(b, w); });
      break;
    case Pass::kBackwardWeights:
      result.resize(static_cast<size_t>(spec.w.elements()));
      for_each_product(
          spec, [&](int64_t x, int64_t w, int64_t y) { result[static_cast<size_t>(w)] += value(a, x) * value(b, y); });
      break;
  }
  return result;
}

class Loops : public Convolution {
 public:
  explicit Loops(const ConvolutionSpec& spec) : spec_(spec) {}
  int64_t workspace_bytes() const override { return 1000; }
  std::string engine() const override { return "loops"; }
  void run(const void* a, const void* b, const void* bias, void* result, void* workspace, Stream& stream) override {
    CHECK((bias != nullptr) == spec_.bias);
    cuda_on_cpu::enqueue(cuda_stream(stream), "convolution", [=, this] {
      std::memset(workspace, 0xff, static_cast<size_t>(workspace_bytes()));  // NaN for whoever kept something there
      const std::vector<double> values = sums(spec_, a, b);
      for (size_t i = 0; i < values.size(); ++i) {
        const auto element = static_cast<int64_t>(i);
        double value = values[i];
        if (spec_.bias) value += load(spec_.dtype, bias, element % spec_.y.c);
        if (spec_.relu && value <= 0) value = 0;
        store(spec_.result, result, element, static_cast<float>(value));
      }
    });
  }

 private:
  const ConvolutionSpec spec_;
};

class FakeLibraries : public CudaLibraries {
 public:
  std::unique_ptr<Convolution> convolution(const ConvolutionSpec& spec) override {
    const auto& refused = cuda_on_cpu::refused_convolutions();
    if (refused && refused(spec)) return nullptr;
    return std::make_unique<Loops>(spec);
  }
};

}  // namespace

std::unique_ptr<CudaLibraries> make_cuda_libraries(Device&, const CudaKernelOptions&) {
  return std::make_unique<FakeLibraries>();
}

}  // namespace convoy

std::function<bool(const convoy::ConvolutionSpec&)>& convoy::cuda_on_cpu::refused_convolutions() {
  static std::function<bool(const ConvolutionSpec&)> refused;
  return refused;
}
