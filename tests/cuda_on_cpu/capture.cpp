// Streams that are captured, and graphs.
#include <algorithm>
#include <utility>

#include "tests/cuda_on_cpu/state.h"

namespace convoy::cuda_on_cpu {
namespace {

thread_local Capture* own_capture = nullptr;  // of the calling thread, not relaxed

cudaError_t refused(Capture& capture, cudaError_t error) {
  capture.valid = false;
  return error;
}

void join(CudaStreamOnCpu& stream, Capture& capture) {
  stream.capture = &capture;
  stream.captured_tails.clear();
  capture.streams.push_back(&stream);
}

// Whether every node comes before the end of the stream where the capture began.
bool all_joined(const Capture& capture) {
  std::vector<bool> before(capture.nodes.size());
  for (size_t node : capture.origin->captured_tails) before[node] = true;
  for (size_t node = capture.nodes.size(); node-- > 0;) {  // nodes come after what they wait for
    if (!before[node]) return false;
    for (size_t earlier : capture.nodes[node].after) before[earlier] = true;
  }
  return true;
}

cudaError_t end_capture(CudaStreamOnCpu& stream, std::vector<Node>& nodes) {
  Capture* const capture = stream.capture;
  if (capture == nullptr) return cudaErrorIllegalState;
  if (capture->origin != &stream) return refused(*capture, cudaErrorStreamCaptureUnmatched);
  const bool relaxed = capture->mode == cudaStreamCaptureModeRelaxed;
  if (!relaxed && capture->thread != std::this_thread::get_id()) return cudaErrorStreamCaptureWrongThread;
  const bool joined = all_joined(*capture);
  for (CudaStreamOnCpu* it : capture->streams) it->capture = nullptr;
  if (own_capture == capture) own_capture = nullptr;
  nodes = std::move(capture->nodes);
  if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
  return joined ? cudaSuccess : cudaErrorStreamCaptureUnjoined;
}

void launch(const CudaGraphExecOnCpu& executable, CudaStreamOnCpu& stream) {
  std::vector<Ended*> ended;
  std::vector<bool> last(executable.nodes.size(), true);
  for (const Node& node : executable.nodes) {
    Ends after;
    for (size_t earlier : node.after) {
      after.push_back(ended[earlier]);
      last[earlier] = false;
    }
    if (after.empty()) after = stream.tails;
    ended.push_back(stream.device->scheduler->give(executable.lanes[node.branch], std::move(after), node.work));
  }
  if (executable.nodes.empty()) return;
  stream.tails.clear();
  for (size_t node = 0; node < ended.size(); ++node) {
    if (last[node]) stream.tails.push_back(ended[node]);
  }
}

}  // namespace

cudaError_t forbid_in_capture() {
  return own_capture == nullptr ? cudaSuccess : refused(*own_capture, cudaErrorStreamCaptureUnsupported);
}

cudaError_t add_node(CudaStreamOnCpu& stream, std::function<void()> work) {
  Capture& capture = *stream.capture;
  if (!capture.valid) return cudaErrorStreamCaptureInvalidated;
  const auto branch = static_cast<size_t>(std::ranges::find(capture.streams, &stream) - capture.streams.begin());
  capture.nodes.push_back({std::move(work), stream.captured_tails, branch});
  stream.captured_tails = {capture.nodes.size() - 1};
  return cudaSuccess;
}

cudaError_t wait_captured(CudaStreamOnCpu& stream, const CudaEventOnCpu& event) {
  if (!event.captured) {  // the stream is: what ran before cannot be waited for by what runs again and again
    return event.reached.empty() ? cudaSuccess : refused(*stream.capture, cudaErrorStreamCaptureIsolation);
  }
  if (event.capture->origin->capture != event.capture) return cudaErrorCapturedEvent;  // that capture is over
  if (!event.capture->valid) return cudaErrorStreamCaptureInvalidated;
  if (stream.capture == nullptr) join(stream, *event.capture);
  if (stream.capture != event.capture) return refused(*stream.capture, cudaErrorStreamCaptureMerge);
  for (size_t node : event.captured_reached) {
    if (std::ranges::find(stream.captured_tails, node) == stream.captured_tails.end()) {
      stream.captured_tails.push_back(node);
    }
  }
  return cudaSuccess;
}

}  // namespace convoy::cuda_on_cpu

using namespace convoy::cuda_on_cpu;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return call(__func__, [&] {
    if (stream == nullptr) return cudaErrorStreamCaptureUnsupported;
    const std::lock_guard lock(stream->device->mutex);
    if (!stream->alive) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr) return cudaErrorIllegalState;
    Capture& capture = stream->device->captures.emplace_back(
        Capture{.origin = stream, .thread = std::this_thread::get_id(), .mode = mode});
    join(*stream, capture);
    if (mode != cudaStreamCaptureModeRelaxed) own_capture = &capture;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return call(__func__, [&] {
    *graph = nullptr;
    if (stream == nullptr) return cudaErrorIllegalState;
    const std::lock_guard lock(stream->device->mutex);
    std::vector<Node> nodes;
    const cudaError_t error = end_capture(*stream, nodes);
    if (error == cudaSuccess) *graph = &stream->device->graphs.emplace_back(CudaGraphOnCpu{std::move(nodes)});
    return error;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return call(__func__, [&] {
    CudaStreamOnCpu& it = resolve(stream);
    const std::lock_guard lock(it.device->mutex);
    *status = it.capture == nullptr ? cudaStreamCaptureStatusNone
              : it.capture->valid   ? cudaStreamCaptureStatusActive
                                    : cudaStreamCaptureStatusInvalidated;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  return call(__func__, [&] {
    if (graph == nullptr || !graph->alive) return cudaErrorInvalidValue;
    Device& device = current_device();
    const std::lock_guard lock(device.mutex);
    CudaGraphExecOnCpu& made = device.executables.emplace_back(CudaGraphExecOnCpu{&device, graph->nodes, {}});
    for (const Node& node : made.nodes) {
      while (made.lanes.size() <= node.branch) made.lanes.push_back(device.scheduler->new_lane());
    }
    *executable = &made;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return call(__func__, [&] {
    CudaStreamOnCpu& it = resolve(stream);
    const std::lock_guard lock(it.device->mutex);
    if (executable == nullptr || !executable->alive) return cudaErrorInvalidValue;
    if (!it.alive || executable->device != it.device) return cudaErrorInvalidResourceHandle;
    if (it.capture != nullptr) return cudaErrorNotSupported;  // no graphs in graphs here
    launch(*executable, it);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call(__func__, [&] {
    if (graph == nullptr || !std::exchange(graph->alive, false)) return cudaErrorInvalidValue;
    graph->nodes.clear();
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return call(__func__, [&] {
    if (executable == nullptr) return cudaErrorInvalidValue;
    const std::lock_guard lock(executable->device->mutex);
    if (!std::exchange(executable->alive, false)) return cudaErrorInvalidValue;
    executable->nodes.clear();  // launches under way have their own copies of the work
    return cudaSuccess;
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  return call(__func__, [&] {
    if (graph == nullptr || !graph->alive || nodes != nullptr) return cudaErrorInvalidValue;
    *count = graph->nodes.size();
    return cudaSuccess;
  });
}
