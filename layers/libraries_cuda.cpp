#include "layers/libraries_cuda.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>

#include "core/device/stream_cuda.h"
#include "layers/engines_cuda.h"

namespace convoy {
namespace {

[[noreturn]] void fail(const char* library, const char* what, bool memory, const std::source_location& where) {
  throw Error(memory ? ExitCode::kOutOfMemory : ExitCode::kUnavailable,
              std::string(library) + ": " + what + " (in " + where.function_name() + ", " + where.file_name() + ":" +
                  std::to_string(where.line()) + ")");
}

// Memory and events to try engines with.
class Trial {
 public:
  Trial(Device& device, const ConvolutionSpec& spec, const Engines& engines) : device_(device) {
    int64_t bytes = 1, workspace = 1;  // f32 is the largest that any tensor can be
    for (const Shape* shape : {&spec.x, &spec.w, &spec.y}) bytes = std::max(bytes, ValueType{*shape}.bytes());
    for (const auto& engine : engines) workspace = std::max(workspace, engine->workspace_bytes());
    for (Buffer& tensor : tensors_) tensor = Buffer(device.allocator(), bytes);
    workspace_ = Buffer(device.allocator(), workspace);
    for (CudaEventHandle* event : {&begin_, &end_}) check(cudaEventCreateWithFlags(event->out(), cudaEventDefault));
  }

  // Milliseconds of the fastest of a few runs, with zeros for data.
  float milliseconds(Convolution& engine) {
    constexpr int kRuns = 5;
    float best = 0;
    for (int i = 0; i < kRuns; ++i) {
      Stream& stream = device_.compute();
      check(cudaEventRecord(begin_.get(), cuda_stream(stream)));
      engine.run(tensors_[0].data(), tensors_[1].data(), tensors_[2].data(), tensors_[3].data(), workspace_.data(),
                 stream);
      check(cudaEventRecord(end_.get(), cuda_stream(stream)));
      check(cudaEventSynchronize(end_.get()));
      float time = 0;
      check(cudaEventElapsedTime(&time, begin_.get(), end_.get()));
      best = i == 0 ? time : std::min(best, time);
    }
    return best;
  }

 private:
  Device& device_;
  std::array<Buffer, 4> tensors_;
  Buffer workspace_;
  CudaEventHandle begin_, end_;
};

class Libraries : public CudaLibraries {
 public:
  Libraries(Device& device, const CudaKernelOptions& options) : device_(device), options_(options) {
    check(cudnnCreate(cudnn_.out()));
    check(cublasLtCreate(cublaslt_.out()));
  }

  std::unique_ptr<Convolution> convolution(const ConvolutionSpec& spec) override {
    constexpr size_t kTried = 40;  // of each library: the first ten may be one engine with other settings
    Engines found;
    const auto add = [&](Engines engines) { std::ranges::move(engines, std::back_inserter(found)); };
    const auto enough = [&] { return !found.empty() && !options_.autotune; };
    const size_t most = options_.autotune ? kTried : 1;
    const bool product = is_product(spec), linear = product && spec.x.h == 1 && spec.x.w == 1;
    if (linear) add(cublaslt_engines(cublaslt_.get(), spec, options_, most));
    if (!enough()) add(cudnn_engines({.handle = cudnn_.get()}, spec, options_, most));
    if (!enough() && product && !linear) add(cublaslt_engines(cublaslt_.get(), spec, options_, most));
    if (found.empty()) return nullptr;
    return found.size() == 1 ? std::move(found[0]) : fastest(spec, std::move(found));
  }

 private:
  std::unique_ptr<Convolution> fastest(const ConvolutionSpec& spec, Engines engines) {
    Trial trial(device_, spec, engines);
    std::vector<float> times;
    for (const auto& engine : engines) {
      try {
        times.push_back(trial.milliseconds(*engine));
      } catch (const Error&) {  // one that was planned but does not run
        times.push_back(std::numeric_limits<float>::infinity());
      }
    }
    return std::move(engines[static_cast<size_t>(std::ranges::min_element(times) - times.begin())]);
  }

  Device& device_;
  const CudaKernelOptions options_;
  Handle<cudnnHandle_t, cudnnDestroy> cudnn_;
  Handle<cublasLtHandle_t, cublasLtDestroy> cublaslt_;
};

bool is_point(const WindowAxis& axis) {
  return axis.kernel == 1 && axis.stride == 1 && axis.low == 0 && axis.high == 0;
}

}  // namespace

bool is_product(const ConvolutionSpec& spec) {
  return spec.groups == 1 && is_point(spec.axes.h) && is_point(spec.axes.w);
}

void check(cudnnStatus_t status, std::source_location where) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  fail("cuDNN", cudnnGetErrorString(status), status == CUDNN_STATUS_ALLOC_FAILED, where);
}

void check(cublasStatus_t status, std::source_location where) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail("cuBLASLt", cublasLtGetStatusString(status), status == CUBLAS_STATUS_ALLOC_FAILED, where);
}

std::unique_ptr<CudaLibraries> make_cuda_libraries(Device& device, const CudaKernelOptions& options) {
  return std::make_unique<Libraries>(device, options);
}

}  // namespace convoy
