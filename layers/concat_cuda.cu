#include "layers/concat.h"

#include "core/device/copy_cuda.h"
#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

// In memory y is pixels; in each, the pixels of the inputs stand one by one.
class ConcatCuda : public CudaKernel {
 public:
  ConcatCuda(const Concat& layer, const CompileRequest& request) {
    const Dtype dtype = activation_cuda(request.inputs[0]).dtype;
    std::vector<Shape> shapes;
    for (const ValueType& x : request.inputs) {
      shapes.push_back(x.shape);
      inputs_.push_back({x.shape, dtype});
    }
    output_ = {layer.shape(shapes), dtype};

    BackwardPart part{"backward", {}, false};
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (request.wants_dx[i]) part.dx.push_back(static_cast<int>(i));
    }
    if (request.mode == Mode::kTrain && !part.dx.empty()) parts_ = {part};
  }

  void forward(Stream& stream) override {
    for_slices([&](size_t i, int64_t offset) {
      copy_rows_cuda({args_.y.as<std::byte>() + offset, pixel(output_), args_.x[i].data, pixel(inputs_[i]), pixels(),
                      pixel(inputs_[i])},
                     stream);
    });
  }
  void backward(int, Stream& stream) override {
    for_slices([&](size_t i, int64_t offset) {
      if (!args_.dx[i]) return;
      copy_rows_cuda({args_.dx[i].data, pixel(inputs_[i]), args_.dy.as<std::byte>() + offset, pixel(output_), pixels(),
                      pixel(inputs_[i])},
                     stream);
    });
  }

 private:
  static int64_t pixel(const ValueType& type) { return type.shape.c * size_of(type.dtype); }  // bytes
  int64_t pixels() const { return output_.shape.elements() / output_.shape.c; }

  // Calls body(input, where its slice of a pixel of y begins, in bytes).
  template <class Body>
  void for_slices(Body body) const {
    int64_t offset = 0;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      body(i, offset);
      offset += pixel(inputs_[i]);
    }
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Concat& layer, const CudaCompile& compile) {
  return std::make_unique<ConcatCuda>(layer, compile.request);
}

}  // namespace convoy
