#include "tests/core/graph/fake_layers.h"

#include <cmath>
#include <cstring>

namespace convoy::fake {
namespace {

int64_t position(const ValueType& type, int64_t index) {
  const int block = type.layout.channel_block;
  if (block == 0) return index;
  const int64_t channels = type.shape.c, groups = (channels + block - 1) / block;
  const int64_t area = int64_t{type.shape.h} * type.shape.w;
  const int64_t c = index % channels, pixel = index / channels % area, n = index / channels / area;
  return ((n * groups + c / block) * area + pixel) * block + c % block;
}

// Overwrites all of `to`, padding channels with zeros.
template <class Element>
void fill(const Tensor& to, Element element) {
  std::memset(to.data, 0, static_cast<size_t>(to.type.bytes()));
  for (int64_t i = 0; i < to.type.shape.elements(); ++i) write(to, i, element(i));
}

class FakeLayer : public Layer {
 public:
  FakeLayer(std::string type, float initial) : type_(std::move(type)), initial_(initial) {}
  std::string type() const override { return type_; }
  Shape shape(std::span<const Shape> inputs) const override {
    for (const Shape& input : inputs) {
      if (input != inputs[0]) throw Error(ExitCode::kConfig, "inputs must have one shape");
    }
    if (type_ == "flatten") return {inputs[0].n, 1, 1, inputs[0].h * inputs[0].w * inputs[0].c};
    return is_loss() ? Shape{} : inputs[0];
  }
  std::vector<ParameterSpec> parameters(std::span<const Shape>) const override {
    const ParameterSpec weight{"weight", {}, {Initializer::Kind::kConstant, initial_}}, bias{"bias", {}, {}};
    if (type_ == "affine") return {weight, bias};
    return type_ == "scale" ? std::vector<ParameterSpec>{weight} : std::vector<ParameterSpec>{};
  }
  std::vector<StateSpec> state(std::span<const Shape>) const override {
    if (type_ != "count") return {};
    return {{"sum", {}, 0, 1}};
  }
  bool is_loss() const override { return type_ == "loss"; }

 private:
  std::string type_;
  float initial_;
};

class FakeKernel : public Kernel {
 public:
  FakeKernel(const CompileRequest& request, const Shape& output) : request_(request), output_(request.inputs[0]) {
    for (ValueType& input : request_.inputs) {  // by default all inputs as the first one lies
      input.dtype = output_.dtype;
      input.layout = output_.layout;
    }
    output_.shape = output;
  }
  std::vector<ValueType> inputs() const override { return request_.inputs; }
  ValueType output() const override { return output_; }
  void bind(const KernelArgs& args) override { args_ = args; }
  void forward(Stream&) final {
    CHECK(args_.y.data != nullptr, "run before it was bound");
    forward();
  }
  void backward(int part, Stream&) final { backward(part); }

 protected:
  virtual void forward() = 0;
  virtual void backward(int) {}
  float x(int64_t i, size_t input = 0) const { return read(args_.x[input], i); }
  float dy(int64_t i) const { return read(args_.dy, i); }
  // The usual part: the gradients of all inputs that want one.
  std::vector<BackwardPart> all_wanted_dx() const {
    BackwardPart part{"backward", {}, false};
    for (size_t i = 0; i < request_.wants_dx.size(); ++i) {
      if (request_.wants_dx[i]) part.dx.push_back(static_cast<int>(i));
    }
    return part.dx.empty() ? std::vector<BackwardPart>{} : std::vector<BackwardPart>{part};
  }
  void use_layout(Layout layout, Dtype dtype) {
    for (ValueType& input : request_.inputs) input = {input.shape, dtype, layout};
    output_ = {output_.shape, dtype, layout};
  }

  CompileRequest request_;
  ValueType output_;
  KernelArgs args_;
};

// scale and affine
class Scale : public FakeKernel {
 public:
  using FakeKernel::FakeKernel;
  std::vector<BackwardPart> backward_parts() const override {
    std::vector<BackwardPart> parts;
    if (request_.wants_dw) parts.push_back({"backward_weights", {}, true});
    if (request_.wants_dx[0]) parts.push_back({"backward_data", {0}, false});
    return parts;
  }
  bool backward_reads_input(int) const override { return request_.wants_dw; }

 protected:
  void forward() override {
    fill(args_.y, [&](int64_t i) { return w() * x(i) + b(); });
  }
  void backward(int part) override {
    if (backward_parts()[static_cast<size_t>(part)].dw) {
      double dw = 0, db = 0;
      for (int64_t i = 0; i < output_.shape.elements(); ++i) {
        dw += double{dy(i)} * x(i);
        db += dy(i);
      }
      *args_.dw[0].as<float>() = static_cast<float>(dw);
      if (args_.dw.size() > 1) *args_.dw[1].as<float>() = static_cast<float>(db);
    } else {
      fill(args_.dx[0], [&](int64_t i) { return w() * dy(i); });
    }
  }

 private:
  float w() const { return *args_.w[0].as<float>(); }
  float b() const { return args_.w.size() > 1 ? *args_.w[1].as<float>() : 0; }
};

// In the place of the first input that may be overwritten.
class Add : public FakeKernel {
 public:
  Add(const CompileRequest& request, const Shape& output) : FakeKernel(request, output) {
    for (size_t i = request.inputs.size(); i-- > 0;) {
      if (request.may_overwrite(i)) overwrites_ = static_cast<int>(i);
    }
  }
  bool dx_is_dy(int) const override { return true; }
  int overwrites() const override { return overwrites_; }
  std::string engine() const override { return overwrites_ < 0 ? "" : "in place"; }

 protected:
  void forward() override {
    std::vector<float> sums(static_cast<size_t>(output_.shape.elements()));
    const auto add = [&](size_t input) {
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += x(static_cast<int64_t>(i), input);
    };
    if (overwrites_ >= 0) {
      add(static_cast<size_t>(overwrites_));
      std::memset(args_.y.data, 0xff, static_cast<size_t>(output_.bytes()));  // the others lie elsewhere
    }
    for (size_t input = 0; input < args_.x.size(); ++input) {
      if (static_cast<int>(input) != overwrites_) add(input);
    }
    fill(args_.y, [&](int64_t i) { return sums[static_cast<size_t>(i)]; });
  }

 private:
  int overwrites_ = -1;
};

class Count : public Add {
 public:
  using Add::Add;

 protected:
  void forward() override {
    Add::forward();
    for (int64_t i = 0; i < output_.shape.elements(); ++i) *args_.batch_state[0].as<float>() += x(i);
  }
};

class Multiply : public FakeKernel {
 public:
  using FakeKernel::FakeKernel;
  std::vector<BackwardPart> backward_parts() const override { return all_wanted_dx(); }
  bool backward_reads_input(int i) const override { return request_.wants_dx[static_cast<size_t>(1 - i)]; }

 protected:
  void forward() override {
    fill(args_.y, [&](int64_t i) { return x(i, 0) * x(i, 1); });
  }
  void backward(int) override {
    for (size_t input : {0, 1}) {
      if (args_.dx[input]) fill(args_.dx[input], [&](int64_t i) { return dy(i) * x(i, 1 - input); });
    }
  }
};

class Tanh : public FakeKernel {
 public:
  using FakeKernel::FakeKernel;
  std::vector<BackwardPart> backward_parts() const override { return all_wanted_dx(); }
  std::vector<int64_t> saved() const override {
    if (!request_.wants_dx[0]) return {};
    const int64_t bytes = output_.shape.elements() * size_of(Dtype::kF32);
    return {bytes, bytes};
  }
  int64_t workspace_bytes() const override { return 64; }

 protected:
  void forward() override {
    scribble();
    fill(args_.y, [&](int64_t i) {
      const float y = std::tanh(x(i));
      if (!args_.saved.empty()) saved(0)[i] = y;
      if (!args_.saved.empty()) saved(1)[i] = y * y;
      return y;
    });
  }
  void backward(int) override {
    scribble();
    fill(args_.dx[0], [&](int64_t i) { return dy(i) * (1 - (saved(0)[i] * saved(0)[i] + saved(1)[i]) / 2); });
  }

 private:
  float* saved(size_t i) const { return static_cast<float*>(args_.saved[i]); }
  void scribble() const { std::memset(args_.workspace, 0xff, static_cast<size_t>(workspace_bytes())); }
};

class Relu : public FakeKernel {
 public:
  using FakeKernel::FakeKernel;
  std::vector<BackwardPart> backward_parts() const override { return all_wanted_dx(); }
  bool backward_reads_output() const override { return true; }

 protected:
  void forward() override {
    fill(args_.y, [&](int64_t i) { return x(i) > 0 ? x(i) : 0; });
  }
  void backward(int) override {
    fill(args_.dx[0], [&](int64_t i) { return read(args_.y, i) > 0 ? dy(i) : 0; });
  }
};

class Flatten : public FakeKernel {
 public:
  Flatten(const CompileRequest& request, const Shape& output) : FakeKernel(request, output) {
    use_layout({}, output_.dtype);
  }
  bool output_is_input() const override { return true; }

 protected:
  void forward() override { CHECK(false, "has no steps"); }
};

class Blocked : public FakeKernel {
 public:
  Blocked(const CompileRequest& request, const Shape& output) : FakeKernel(request, output) {
    use_layout({8}, output_.dtype);
  }
  std::vector<BackwardPart> backward_parts() const override { return all_wanted_dx(); }

 protected:
  void forward() override {
    fill(args_.y, [&](int64_t i) { return 2 * x(i); });
  }
  void backward(int) override {
    fill(args_.dx[0], [&](int64_t i) { return 2 * dy(i); });
  }
};

// y = x, dx = dy, between any two types.
class Copy : public FakeKernel {
 public:
  Copy(const CompileRequest& request, const ValueType& to) : FakeKernel(request, to.shape) { output_ = to; }
  std::vector<BackwardPart> backward_parts() const override { return all_wanted_dx(); }

 protected:
  void forward() override {
    fill(args_.y, [&](int64_t i) { return x(i); });
  }
  void backward(int) override {
    fill(args_.dx[0], [&](int64_t i) { return dy(i); });
  }
};

class Half : public Copy {
 public:
  explicit Half(const CompileRequest& request) : Copy(request, request.inputs[0]) { use_layout({}, Dtype::kBF16); }
};

class Loss : public FakeKernel {
 public:
  Loss(const CompileRequest& request, const Shape& output) : FakeKernel(request, output) {
    output_ = {output, Dtype::kF32, {}};
  }
  std::vector<BackwardPart> backward_parts() const override { return all_wanted_dx(); }
  bool backward_reads_input(int) const override { return true; }

 protected:
  void forward() override {
    double sum = 0;
    for (int64_t i = 0; i < args_.x[0].type.shape.elements(); ++i) sum += 0.5 * double{x(i)} * x(i);
    *args_.y.as<float>() = static_cast<float>(sum);
    args_.control[kLossSum] += static_cast<float>(sum);
  }
  void backward(int) override {
    fill(args_.dx[0], [&](int64_t i) { return x(i); });
  }
};

}  // namespace

float read(const Tensor& tensor, int64_t index) {
  const int64_t at = position(tensor.type, index);
  return tensor.type.dtype == Dtype::kBF16 ? bf16_to_f32(tensor.as<uint16_t>()[at]) : tensor.as<float>()[at];
}

void write(const Tensor& tensor, int64_t index, float value) {
  const int64_t at = position(tensor.type, index);
  if (tensor.type.dtype == Dtype::kBF16) {
    tensor.as<uint16_t>()[at] = f32_to_bf16(value);
  } else {
    tensor.as<float>()[at] = value;
  }
}

std::vector<float> read_all(const Tensor& tensor) {
  std::vector<float> values;
  for (int64_t i = 0; i < tensor.type.shape.elements(); ++i) values.push_back(read(tensor, i));
  return values;
}

std::unique_ptr<Layer> make_layer(const std::string& type, float initial) {
  return std::make_unique<FakeLayer>(type, initial);
}

std::unique_ptr<Kernel> Kernels::make(const Layer& layer, const CompileRequest& request) const {
  std::vector<Shape> shapes;
  for (const ValueType& input : request.inputs) shapes.push_back(input.shape);
  const Shape output = layer.shape(shapes);
  const std::string type = layer.type();
  if (type == "scale" || type == "affine") return std::make_unique<Scale>(request, output);
  if (type == "add") return std::make_unique<Add>(request, output);
  if (type == "count") return std::make_unique<Count>(request, output);
  if (type == "multiply") return std::make_unique<Multiply>(request, output);
  if (type == "tanh") return std::make_unique<Tanh>(request, output);
  if (type == "relu") return std::make_unique<Relu>(request, output);
  if (type == "flatten") return std::make_unique<Flatten>(request, output);
  if (type == "blocked") return std::make_unique<Blocked>(request, output);
  if (type == "half") return std::make_unique<Half>(request);
  if (type == "loss") return std::make_unique<Loss>(request, output);
  throw Error(ExitCode::kConfig, "no kernel");
}

std::unique_ptr<Kernel> Kernels::make_conversion(const ValueType& from, const ValueType& to, bool wants_dx) const {
  return std::make_unique<Copy>(CompileRequest{{from}, {wants_dx}}, to);
}

std::unique_ptr<Kernel> Kernels::make_sum(const ValueType& type, int terms) const {
  const auto count = static_cast<size_t>(terms);
  const CompileRequest request{std::vector<ValueType>(count, type), std::vector<bool>(count, false)};
  return std::make_unique<Add>(request, type.shape);
}

}  // namespace convoy::fake
