// Convolutions with the graphs of cuDNN: operations on tensors, the engines that cuDNN proposes for them, and a plan
// per engine.
#include <algorithm>
#include <array>

#include "core/device/stream_cuda.h"
#include "layers/cudnn_descriptor_cuda.h"

namespace convoy {
namespace {

using Pass = ConvolutionSpec::Pass;

// ---- The graph of a pass

// Tensors by the places of run()'s arguments; those between two operations have no memory.
enum Uid : int64_t { kA = 1, kB, kBias, kResult, kConvolved, kWithBias };

cudnnDataType_t data_type(Dtype dtype) {
  if (dtype == Dtype::kF32) return CUDNN_DATA_FLOAT;
  return dtype == Dtype::kBF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF;
}

// cuDNN counts N,C,H,W (and filters O,I,h,w), wherever they lie in memory.
Descriptor tensor(Uid uid, const Shape& shape, Dtype dtype) {
  constexpr int64_t kAlignment = 16;
  const int64_t row = int64_t{shape.w} * shape.c;
  return Descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR)
      .set<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID, uid)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, data_type(dtype))
      .set<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, {shape.n, shape.c, shape.h, shape.w})
      .set<int64_t>(CUDNN_ATTR_TENSOR_STRIDES, {shape.h * row, 1, row, shape.c})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kAlignment)
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, uid > kResult)
      .finalize();
}

Descriptor geometry(const WindowAxes& axes) {
  return Descriptor(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR)
      .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2})
      .set<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {axes.h.low, axes.w.low})
      .set<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {axes.h.high, axes.w.high})
      .set<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {axes.h.stride, axes.w.stride})
      .set<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS, {axes.h.dilation, axes.w.dilation})
      .finalize();
}

// What cuDNN calls the attributes of a pass.
struct Names {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t geometry, a, b, result, alpha, beta;
};
constexpr Names kForward{CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
constexpr Names kBackwardData{CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
constexpr Names kBackwardWeights{CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};

// Groups have no attribute: cuDNN sees them in the channels of w.
Descriptor convolution(const Names& names, const WindowAxes& axes, const Descriptor& a, const Descriptor& b,
                       const Descriptor& result) {
  return Descriptor(names.operation)
      .set(names.geometry, geometry(axes))
      .set(names.a, a)
      .set(names.b, b)
      .set(names.result, result)
      .set(names.alpha, 1.0F)
      .set(names.beta, 0.0F)
      .finalize();
}

// y = x + b (of each channel), or max(x, 0) without b.
Descriptor pointwise(cudnnPointwiseMode_t mode, const Descriptor& x, const Descriptor* b, const Descriptor& y) {
  Descriptor what = Descriptor(CUDNN_BACKEND_POINTWISE_DESCRIPTOR)
                        .set(CUDNN_ATTR_POINTWISE_MODE, mode)
                        .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT)
                        .finalize();
  Descriptor result = Descriptor(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
                          .set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, what)
                          .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
                          .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  if (b != nullptr) result = std::move(result).set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
  return std::move(result).finalize();
}

// x · w, then + bias, then relu.
std::vector<Descriptor> forward(const ConvolutionSpec& spec) {
  std::vector<Descriptor> operations;
  // What an operation writes, if `more` follow.
  const auto output = [&](Uid uid, bool more) {
    return tensor(more ? uid : kResult, spec.y, more ? Dtype::kF32 : spec.result);
  };
  Descriptor y = output(kConvolved, spec.bias || spec.relu);
  operations.push_back(
      convolution(kForward, spec.axes, tensor(kA, spec.x, spec.dtype), tensor(kB, spec.w, spec.dtype), y));
  if (spec.bias) {
    const Descriptor bias = tensor(kBias, {1, 1, 1, spec.y.c}, spec.dtype);
    Descriptor sum = output(kWithBias, spec.relu);
    operations.push_back(pointwise(CUDNN_POINTWISE_ADD, y, &bias, sum));
    y = std::move(sum);
  }
  if (spec.relu) operations.push_back(pointwise(CUDNN_POINTWISE_RELU_FWD, y, nullptr, output(kResult, false)));
  return operations;
}

std::vector<Descriptor> operations(const ConvolutionSpec& spec) {
  if (spec.pass == Pass::kForward) return forward(spec);
  const auto one = [&](const Names& names, const Shape& a, const Shape& b, const Shape& result) {
    std::vector<Descriptor> operations;
    operations.push_back(convolution(names, spec.axes, tensor(kA, a, spec.dtype), tensor(kB, b, spec.dtype),
                                     tensor(kResult, result, spec.result)));
    return operations;
  };
  if (spec.pass == Pass::kBackwardData) return one(kBackwardData, spec.y, spec.w, spec.x);
  return one(kBackwardWeights, spec.x, spec.y, spec.w);
}

// ---- Engines

std::vector<cudnnBackendDescriptor_t> raw(const std::vector<Descriptor>& descriptors) {
  std::vector<cudnnBackendDescriptor_t> result;
  for (const Descriptor& it : descriptors) result.push_back(it.get());
  return result;
}

Descriptor graph(const CudnnTarget& target, const ConvolutionSpec& spec) {
  const std::vector<Descriptor> nodes = operations(spec);
  Descriptor result =
      Descriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR).set(CUDNN_ATTR_OPERATIONGRAPH_OPS, raw(nodes));
  if (target.handle != nullptr) result = std::move(result).set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, target.handle);
  return result;
}

// Engines with their settings, those that should be fast first.
std::vector<Descriptor> propose(const CudnnTarget& target, const Descriptor& graph, cudnnBackendHeurMode_t mode) {
  Descriptor heuristics = Descriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR)
                              .set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
                              .set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  if (target.handle == nullptr) {
    heuristics = std::move(heuristics).set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, std::vector{target.properties});
  }
  std::vector<Descriptor> found;
  int64_t count = 0;
  const auto read = [&](int64_t size, cudnnBackendDescriptor_t* into) {
    return cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                    size, &count, into) == CUDNN_STATUS_SUCCESS;
  };
  if (!heuristics.try_finalize() || !read(0, nullptr)) return found;
  for (int64_t i = 0; i < count; ++i) found.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  if (!read(count, raw(found).data())) count = 0;
  found.erase(found.begin() + count, found.end());
  return found;
}

// Whether an engine keeps what the options and the interface promise.
bool allowed(const Descriptor& engine, const ConvolutionSpec& spec, const CudaKernelOptions& options) {
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
  const int64_t count =
      engine.read(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, std::ssize(notes), notes.data());
  return std::none_of(notes.begin(), notes.begin() + count, [&](cudnnBackendNumericalNote_t note) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION: return true;
      case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC: return options.deterministic;
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS: return spec.dtype == Dtype::kF32;
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: return spec.dtype == Dtype::kF32 && !options.tf32;
      default: return false;
    }
  });
}

class CudnnConvolution : public Convolution {
 public:
  CudnnConvolution(cudnnHandle_t handle, bool bias, Descriptor plan, int64_t engine)
      : handle_(handle),
        bias_(bias),
        plan_(std::move(plan)),
        engine_(engine),
        workspace_bytes_(plan_.read<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE)) {}

  int64_t workspace_bytes() const override { return workspace_bytes_; }
  std::string engine() const override { return "cudnn:" + std::to_string(engine_); }
  void run(const void* a, const void* b, const void* bias, void* result, void* workspace, Stream& stream) override {
    constexpr std::array<int64_t, 4> kUids{kA, kB, kResult, kBias};
    const std::array<void*, 4> pointers{const_cast<void*>(a), const_cast<void*>(b), result, const_cast<void*>(bias)};
    const int64_t count = bias_ ? 4 : 3;
    const Descriptor arguments =
        Descriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
            .set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, kUids.data())
            .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers.data())
            .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace)
            .finalize();
    check(cudnnSetStream(handle_, cuda_stream(stream)));
    check(cudnnBackendExecute(handle_, plan_.get(), arguments.get()));
  }

 private:
  cudnnHandle_t handle_;
  bool bias_;
  Descriptor plan_;
  int64_t engine_, workspace_bytes_;
};

std::unique_ptr<Convolution> try_engine(const CudnnTarget& target, const Descriptor& configuration,
                                        const ConvolutionSpec& spec, const CudaKernelOptions& options) {
  const Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t into = engine.get();
  configuration.read(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &into);
  if (!allowed(engine, spec, options)) return nullptr;
  Descriptor plan =
      Descriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR).set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  plan = target.handle != nullptr
             ? std::move(plan).set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, target.handle)
             : std::move(plan).set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, std::vector{target.properties});
  if (!plan.try_finalize()) return nullptr;
  auto result = std::make_unique<CudnnConvolution>(target.handle, spec.bias, std::move(plan),
                                                   engine.read<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
  if (result->workspace_bytes() > kMostWorkspace) return nullptr;
  return result;
}

}  // namespace

Engines cudnn_engines(const CudnnTarget& target, const ConvolutionSpec& spec, const CudaKernelOptions& options,
                      size_t most) {
  Engines found;
  Descriptor of_pass = graph(target, spec);
  if (!of_pass.try_finalize()) return found;
  for (cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (const Descriptor& configuration : propose(target, of_pass, mode)) {
      if (found.size() == most) return found;
      if (auto engine = try_engine(target, configuration, spec, options)) found.push_back(std::move(engine));
    }
  }
  return found;
}

}  // namespace convoy
