#include "layers/concat.h"

#include <cstring>

#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

// The layout of the first input, if with it every input but the last ends where a block does; else canonical.
Layout common_layout(std::span<const ValueType> inputs) {
  const Layout layout = inputs[0].layout;
  if (layout.canonical()) return layout;
  for (const ValueType& x : inputs.first(inputs.size() - 1)) {
    if (x.shape.c % layout.channel_block != 0) return {};
  }
  return layout;
}

// In memory y is rows, a pixel where canonical, else an image; in each, the rows of the inputs stand one by one.
class ConcatCpu : public CpuKernel {
 public:
  ConcatCpu(const Concat& layer, const CompileRequest& request) {
    const Dtype dtype = request.inputs[0].dtype;
    const Layout layout = common_layout(request.inputs);
    std::vector<Shape> shapes;
    for (const ValueType& x : request.inputs) {
      shapes.push_back(x.shape);
      inputs_.push_back({x.shape, dtype, layout});
    }
    const Shape y = layer.shape(shapes);
    output_ = {y, dtype, layout};
    rows_ = layout.canonical() ? int64_t{y.n} * y.h * y.w : y.n;
    for (const ValueType& x : inputs_) row_bytes_.push_back(x.bytes() / rows_);

    BackwardPart part{"backward", {}, false};
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (request.wants_dx[i]) part.dx.push_back(static_cast<int>(i));
    }
    if (request.mode == Mode::kTrain && !part.dx.empty()) parts_ = {part};
  }
  std::string engine() const override { return "memcpy"; }

  void forward(Stream&) override {
    for_slices(args_.y, [&](std::byte* slice, size_t input, int64_t offset, size_t bytes) {
      std::memcpy(slice, args_.x[input].as<std::byte>() + offset, bytes);
    });
  }
  void backward(int, Stream&) override {
    for_slices(args_.dy, [&](const std::byte* slice, size_t input, int64_t offset, size_t bytes) {
      if (args_.dx[input]) std::memcpy(args_.dx[input].as<std::byte>() + offset, slice, bytes);
    });
  }

 private:
  // Calls body(slice of `whole`, the input it belongs to, where in that input, bytes) on all threads.
  template <class Body>
  void for_slices(const Tensor& whole, Body body) const {
    const int64_t whole_row = output_.bytes() / rows_;
    parallel_for(rows_, std::max<int64_t>(1, 4 * kGrain / whole_row), [&](int64_t begin, int64_t end) {
      std::byte* slice = whole.as<std::byte>() + begin * whole_row;
      for (int64_t row = begin; row < end; ++row) {
        for (size_t i = 0; i < row_bytes_.size(); ++i) {
          body(slice, i, row * row_bytes_[i], static_cast<size_t>(row_bytes_[i]));
          slice += row_bytes_[i];
        }
      }
    });
  }

  int64_t rows_ = 0;
  std::vector<int64_t> row_bytes_;  // by input
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Concat& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<ConcatCpu>(layer, request);
}

}  // namespace convoy
