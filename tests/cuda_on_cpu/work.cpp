// Streams, events, and the work that streams are given.
#include <algorithm>
#include <cstring>
#include <utility>

#include "tests/cuda_on_cpu/state.h"
#include "tests/cuda_on_cpu/streams.h"

namespace convoy::cuda_on_cpu {

CudaStreamOnCpu& resolve(cudaStream_t stream) { return stream == nullptr ? current_device().default_stream : *stream; }

cudaError_t give(CudaStreamOnCpu& stream, std::function<void()> work) {
  if (!stream.alive) return cudaErrorInvalidResourceHandle;
  if (stream.capture != nullptr) return add_node(stream, std::move(work));
  stream.tails = {stream.device->scheduler->give(stream.lane, stream.tails, std::move(work))};
  return cudaSuccess;
}

void wait_for_all(Device& device) {
  for (const CudaStreamOnCpu& stream : device.streams) device.scheduler->wait(stream.tails);
  device.scheduler->wait(device.default_stream.tails);
}

void enqueue(cudaStream_t stream, const std::string& name, std::function<void()> work) {
  call(name.c_str(), [&] {
    CudaStreamOnCpu& to = resolve(stream);
    const std::lock_guard lock(to.device->mutex);
    return give(to, std::move(work));
  });
}

namespace {

template <class Body>
cudaError_t on_stream(const char* function, cudaStream_t stream, Body body) {
  return call(function, [&] {
    CudaStreamOnCpu& to = resolve(stream);
    if (stream == nullptr && forbid_in_capture() != cudaSuccess) return cudaErrorStreamCaptureImplicit;
    const std::lock_guard lock(to.device->mutex);
    return to.alive ? body(to) : cudaErrorInvalidResourceHandle;
  });
}

template <class Body>
cudaError_t on_event(const char* function, cudaEvent_t event, Body body) {
  return call(function, [&] {
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    const std::lock_guard lock(event->device->mutex);
    if (!event->alive) return cudaErrorInvalidResourceHandle;
    return event->captured ? cudaErrorCapturedEvent : body(*event);
  });
}

enum class Kind { kDevice, kPinned, kPageable, kNothing };

// Of memory that is read or written in `bytes`; nothing: device memory that was not allocated.
Kind kind_of(const Device& device, const void* data, size_t bytes) {
  if (device.memory.contains(data)) return device.memory.allocated(data, bytes) ? Kind::kDevice : Kind::kNothing;
  return is_pinned(data) ? Kind::kPinned : Kind::kPageable;
}

cudaError_t copy(CudaStreamOnCpu& stream, void* to, const void* from, size_t bytes) {
  const Kind target = kind_of(*stream.device, to, bytes), source = kind_of(*stream.device, from, bytes);
  if (target == Kind::kNothing || source == Kind::kNothing) return cudaErrorInvalidValue;
  const bool pageable = target == Kind::kPageable || source == Kind::kPageable;
  if (pageable && stream.capture != nullptr) {  // a graph would read it at every launch, whatever it holds by then
    stream.capture->valid = false;
    return cudaErrorStreamCaptureUnsupported;
  }
  if (source == Kind::kPageable) {
    const auto* const bytes_now = static_cast<const std::byte*>(from);
    const cudaError_t error = give(stream, [to, data = std::vector<std::byte>(bytes_now, bytes_now + bytes)] {
      std::memcpy(to, data.data(), data.size());
    });
    if (error != cudaSuccess) return error;
  } else {
    const cudaError_t error = give(stream, [=] { std::memcpy(to, from, bytes); });
    if (error != cudaSuccess) return error;
  }
  if (target == Kind::kPageable) stream.device->scheduler->wait(stream.tails);
  return cudaSuccess;
}

cudaError_t record(CudaEventOnCpu& event, CudaStreamOnCpu& stream) {
  event.captured = stream.capture != nullptr;
  event.capture = stream.capture;
  event.captured_reached = stream.captured_tails;
  if (event.captured) return stream.capture->valid ? cudaSuccess : cudaErrorStreamCaptureInvalidated;
  if (event.timing) {
    const cudaError_t error = give(stream, [&event] { event.time = std::chrono::steady_clock::now(); });
    if (error != cudaSuccess) return error;
  }
  event.reached = stream.tails;
  return cudaSuccess;
}

cudaError_t wait_event(CudaStreamOnCpu& stream, const CudaEventOnCpu& event) {
  if (event.captured || stream.capture != nullptr) return wait_captured(stream, event);
  for (Ended* it : event.reached) {
    if (std::ranges::find(stream.tails, it) == stream.tails.end()) stream.tails.push_back(it);
  }
  return cudaSuccess;
}

}  // namespace
}  // namespace convoy::cuda_on_cpu

using namespace convoy::cuda_on_cpu;

// ---- Streams

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return call(__func__, [&] { return *least = 0, *greatest = -5, cudaSuccess; });
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return call(__func__, [&] {
    if (flags != cudaStreamNonBlocking) return cudaErrorNotSupported;  // here none waits for the default stream
    Device& device = current_device();
    const std::lock_guard lock(device.mutex);
    *stream = &device.streams.emplace_back(CudaStreamOnCpu{&device, device.scheduler->new_lane()});
    return cudaSuccess;
  });
}

// What it was given still runs.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr) return returned(cudaErrorInvalidResourceHandle);
  return on_stream(__func__, stream, [](CudaStreamOnCpu& it) {
    if (it.capture != nullptr) it.capture->valid = false;
    it.alive = false;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return on_stream(__func__, stream, [](CudaStreamOnCpu& it) {
    if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
    if (it.capture != nullptr) return it.capture->valid = false, cudaErrorStreamCaptureUnsupported;
    it.device->scheduler->wait(it.tails);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return on_stream(__func__, stream, [](CudaStreamOnCpu& it) {
    if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
    if (it.capture != nullptr) return it.capture->valid = false, cudaErrorStreamCaptureUnsupported;
    if (Scheduler::ended(it.tails)) return cudaSuccess;
    it.device->scheduler->look();
    return cudaErrorNotReady;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return on_stream(__func__, stream, [&](CudaStreamOnCpu& it) {
    if (event == nullptr || !event->alive) return cudaErrorInvalidResourceHandle;
    if (event->device != it.device) return cudaErrorNotSupported;
    return wait_event(it, *event);
  });
}

// ---- Events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call(__func__, [&] {
    Device& device = current_device();
    const std::lock_guard lock(device.mutex);
    *event =
        &device.events.emplace_back(CudaEventOnCpu{.device = &device, .timing = (flags & cudaEventDisableTiming) == 0});
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call(__func__, [&] {
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    const std::lock_guard lock(event->device->mutex);
    return std::exchange(event->alive, false) ? cudaSuccess : cudaErrorInvalidResourceHandle;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return on_stream(__func__, stream, [&](CudaStreamOnCpu& it) {
    if (event == nullptr || !event->alive || event->device != it.device) return cudaErrorInvalidResourceHandle;
    return record(*event, it);
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return on_event(__func__, event, [](CudaEventOnCpu& it) {
    if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
    it.device->scheduler->wait(it.reached);
    return cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return on_event(__func__, event, [](CudaEventOnCpu& it) {
    if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
    if (Scheduler::ended(it.reached)) return cudaSuccess;
    it.device->scheduler->look();
    return cudaErrorNotReady;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  return on_event(__func__, from, [&](CudaEventOnCpu& it) {
    if (!to->alive || !to->timing || !it.timing || it.reached.empty() || to->reached.empty()) {
      return cudaErrorInvalidResourceHandle;
    }
    if (!Scheduler::ended(it.reached) || !Scheduler::ended(to->reached)) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(to->time - it.time).count();
    return cudaSuccess;
  });
}

// ---- Work

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  return on_stream(__func__, stream, [&](CudaStreamOnCpu& it) { return copy(it, to, from, bytes); });
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  return on_stream(__func__, stream, [&](CudaStreamOnCpu& it) {
    if (!it.device->memory.allocated(to, bytes)) return cudaErrorInvalidValue;
    return give(it, [=] { std::memset(to, value, bytes); });
  });
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return call(__func__, [&] { return cudaMemsetAsync(to, value, bytes, nullptr); });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return on_stream(__func__, stream, [&](CudaStreamOnCpu& it) { return give(it, [=] { function(data); }); });
}
