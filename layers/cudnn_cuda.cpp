// Convolutions with cuDNN's graph API.  The only file that includes cudnn-frontend, which takes half a minute to
// compile.
#include <cudnn_frontend.h>

#include "core/device/stream_cuda.h"
#include "layers/engines_cuda.h"

namespace convoy {
namespace {

namespace fe = cudnn_frontend;
using Pass = ConvolutionSpec::Pass;

// Tensors by the places of run()'s arguments.
enum Uid : int64_t { kA = 1, kB, kBias, kResult };

using convoy::check;
void check(fe::error_t error) {
  if (error.is_bad()) throw Error(ExitCode::kUnavailable, "cuDNN: " + error.get_message());
}

fe::DataType_t data_type(Dtype dtype) {
  if (dtype == Dtype::kF32) return fe::DataType_t::FLOAT;
  return dtype == Dtype::kBF16 ? fe::DataType_t::BFLOAT16 : fe::DataType_t::HALF;
}

// cuDNN counts N,C,H,W (and filters O,I,h,w), wherever they lie in memory.
fe::graph::Tensor_attributes tensor(Uid uid, const Shape& shape, Dtype dtype) {
  const int64_t row = int64_t{shape.w} * shape.c;
  return fe::graph::Tensor_attributes()
      .set_uid(uid)
      .set_data_type(data_type(dtype))
      .set_dim({shape.n, shape.c, shape.h, shape.w})
      .set_stride({shape.h * row, 1, row, shape.c});
}

template <class Attributes>
Attributes geometry(const WindowAxes& axes) {
  return Attributes()
      .set_pre_padding({axes.h.low, axes.w.low})
      .set_post_padding({axes.h.high, axes.w.high})
      .set_stride({axes.h.stride, axes.w.stride})
      .set_dilation({axes.h.dilation, axes.w.dilation});
}

// The graph of a pass, which has no groups to name: cuDNN sees them in the channels of w.
void describe(fe::graph::Graph& graph, const ConvolutionSpec& spec) {
  graph.set_compute_data_type(fe::DataType_t::FLOAT).set_intermediate_data_type(fe::DataType_t::FLOAT);
  const bool forward = spec.pass == Pass::kForward, weights = spec.pass == Pass::kBackwardWeights;
  const auto a = graph.tensor(tensor(kA, forward || weights ? spec.x : spec.y, spec.dtype));
  const auto b = graph.tensor(tensor(kB, weights ? spec.y : spec.w, spec.dtype));
  const auto finish = [&](const auto& output, const Shape& shape) {
    *output = tensor(kResult, shape, spec.result);
    output->set_output(true);
  };
  if (weights) {
    return finish(graph.conv_wgrad(b, a, geometry<fe::graph::Conv_wgrad_attributes>(spec.axes)), spec.w);
  }
  if (!forward) {
    return finish(graph.conv_dgrad(a, b, geometry<fe::graph::Conv_dgrad_attributes>(spec.axes)), spec.x);
  }
  auto y = graph.conv_fprop(a, b, geometry<fe::graph::Conv_fprop_attributes>(spec.axes));
  const auto then = [](fe::PointwiseMode_t mode) { return fe::graph::Pointwise_attributes().set_mode(mode); };
  if (spec.bias) {
    const auto bias = graph.tensor(tensor(kBias, {1, 1, 1, spec.y.c}, spec.dtype));
    y = graph.pointwise(y, bias, then(fe::PointwiseMode_t::ADD));
  }
  if (spec.relu) y = graph.pointwise(y, then(fe::PointwiseMode_t::RELU_FWD));
  finish(y, spec.y);
}

// Engines that would break what the options promise.
std::vector<fe::NumericalNote_t> forbidden(const ConvolutionSpec& spec, const CudaKernelOptions& options) {
  std::vector<fe::NumericalNote_t> notes{fe::NumericalNote_t::REDUCED_PRECISION_REDUCTION};  // sums are in f32
  if (options.deterministic) notes.push_back(fe::NumericalNote_t::NONDETERMINISTIC);
  if (spec.dtype == Dtype::kF32) {
    notes.push_back(fe::NumericalNote_t::DOWN_CONVERT_INPUTS);
    if (!options.tf32) notes.push_back(fe::NumericalNote_t::TENSOR_CORE);  // theirs would be TF32's
  }
  return notes;
}

class CudnnConvolution : public Convolution {
 public:
  CudnnConvolution(cudnnHandle_t handle, const ConvolutionSpec& spec) : handle_(handle), bias_(spec.bias) {
    describe(graph_, spec);
    check(graph_.validate());
  }

  // Whether cuDNN has an engine.
  bool plan(const EngineRequest& request) {
    if (graph_.build_operation_graph(handle_).is_bad()) return false;
    if (graph_.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}).is_bad()) return false;
    graph_.deselect_numeric_notes(forbidden(request.spec, request.options))
        .deselect_workspace_greater_than(kMostWorkspace);
    const auto policy =
        request.options.autotune ? fe::BuildPlanPolicy_t::ALL : fe::BuildPlanPolicy_t::HEURISTICS_CHOICE;
    if (graph_.build_plans(policy).is_bad()) return false;
    if (request.options.autotune) try_all(request);
    check(graph_.get_workspace_size(workspace_bytes_));
    return true;
  }

  int64_t workspace_bytes() const override { return workspace_bytes_; }
  std::string engine() const override {
    std::string name;  // "ConvFwd_eng42_k2=3_…": the engine and its knobs
    check(graph_.get_plan_name(name));
    const size_t begin = std::min(name.find("eng"), name.size());
    return "cudnn:" + name.substr(begin, name.find('_', begin) - begin);
  }
  void run(const void* a, const void* b, const void* bias, void* result, void* workspace, Stream& stream) override {
    check(cudnnSetStream(handle_, cuda_stream(stream)));
    std::array<void*, 4> pointers{const_cast<void*>(a), const_cast<void*>(b), const_cast<void*>(bias), result};
    if (!bias_) pointers[2] = result;  // in the order of their Uid
    check(graph_.execute(handle_, pointers.data(), bias_ ? 4 : 3, workspace));
  }

 private:
  // Chooses the fastest plan, with zeros for data.
  void try_all(const EngineRequest& request) {
    Allocator& allocator = request.device.allocator();
    const ConvolutionSpec& spec = request.spec;
    const int64_t bytes = std::max({ValueType{spec.x}.bytes(), ValueType{spec.w}.bytes(), ValueType{spec.y}.bytes()});
    const Buffer a(allocator, bytes), b(allocator, bytes), bias(allocator, bytes), result(allocator, bytes);
    const Buffer workspace(allocator, graph_.get_autotune_workspace_size());
    std::unordered_map<int64_t, void*> pointers{{kA, a.data()}, {kB, b.data()}, {kResult, result.data()}};
    if (bias_) pointers[kBias] = bias.data();
    check(cudnnSetStream(handle_, cuda_stream(request.device.compute())));
    check(graph_.autotune(handle_, pointers, workspace.data()));
  }

  cudnnHandle_t handle_;
  fe::graph::Graph graph_;
  bool bias_;
  int64_t workspace_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Convolution> cudnn_convolution(cudnnHandle_t handle, const EngineRequest& request) {
  auto convolution = std::make_unique<CudnnConvolution>(handle, request.spec);
  if (!convolution->plan(request)) return nullptr;
  return convolution;
}

}  // namespace convoy
