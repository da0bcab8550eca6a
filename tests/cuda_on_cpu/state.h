// What the handles of the runtime point to.  Everything of a device is guarded by its mutex, which is also held while a
// lazy scheduler runs work.  Handles stay valid memory until boot(), so that a call with a destroyed one can say so.
#pragma once

#include <chrono>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

#include "tests/cuda_on_cpu/errors.h"
#include "tests/cuda_on_cpu/scheduler.h"

namespace convoy::cuda_on_cpu {

struct Device;

// Work of a graph; `after` are indices of nodes before it.  Nodes of one branch came from one stream.
struct Node {
  std::function<void()> work;
  std::vector<size_t> after;
  size_t branch;
};

struct Capture {
  CudaStreamOnCpu* origin;
  std::thread::id thread;
  cudaStreamCaptureMode mode;
  bool valid = true;
  std::vector<Node> nodes{};
  std::vector<CudaStreamOnCpu*> streams{};  // by branch
};

}  // namespace convoy::cuda_on_cpu

struct CudaStreamOnCpu {
  convoy::cuda_on_cpu::Device* device;
  unsigned lane;
  convoy::cuda_on_cpu::Ends tails{};  // what its next work waits for
  bool alive = true;
  // While it is captured.
  convoy::cuda_on_cpu::Capture* capture = nullptr;
  std::vector<size_t> captured_tails{};
};

struct CudaEventOnCpu {
  convoy::cuda_on_cpu::Device* device;
  bool timing;
  convoy::cuda_on_cpu::Ends reached{};  // empty: never recorded
  bool alive = true;
  std::chrono::steady_clock::time_point time{};
  // Where it was last recorded in a captured stream; the capture may be over.
  bool captured = false;
  convoy::cuda_on_cpu::Capture* capture = nullptr;
  std::vector<size_t> captured_reached{};
};

struct CudaGraphOnCpu {
  std::vector<convoy::cuda_on_cpu::Node> nodes;
  bool alive = true;
};

struct CudaGraphExecOnCpu {
  convoy::cuda_on_cpu::Device* device;
  std::vector<convoy::cuda_on_cpu::Node> nodes;
  std::vector<unsigned> lanes;  // by branch
  bool alive = true;
};

namespace convoy::cuda_on_cpu {

struct Device {
  explicit Device(const Machine& machine);

  std::mutex mutex;
  DeviceMemory memory;
  std::unique_ptr<Scheduler> scheduler;
  std::deque<CudaStreamOnCpu> streams;
  std::deque<CudaEventOnCpu> events;
  std::deque<CudaGraphOnCpu> graphs;
  std::deque<CudaGraphExecOnCpu> executables;
  std::deque<Capture> captures;
  CudaStreamOnCpu default_stream;
};

// ---- The machine (machine.cpp)

const Machine& machine();
Device& device(int index);
Device& current_device();  // of the calling thread
int current_index();
void set_current(int index);

// Every function of the runtime is body() behind this: injected failures, the driver, sticky errors, the last error.
cudaError_t enter(const char* function);
template <class Body>
cudaError_t call(const char* function, Body body) {
  const cudaError_t entered = enter(function);
  if (entered != cudaSuccess) return returned(entered);
  const cudaError_t error = body();
  return returned(error == cudaSuccess && has_fault() ? cudaErrorLaunchFailure : error);
}

// Pinned memory: which ranges are.
void add_pinned(void* data, size_t bytes);
bool remove_pinned(void* data);
bool is_pinned(const void* data);

// ---- Streams (work.cpp); all with the device's lock held

CudaStreamOnCpu& resolve(cudaStream_t stream);  // null is the current device's default stream
// As work of the stream, or as a node of the graph.
cudaError_t give(CudaStreamOnCpu& stream, std::function<void()> work);
void wait_for_all(Device& device);

// ---- Capture (capture.cpp)

// For calls that a capture of the calling thread forbids: ends it as invalid.
cudaError_t forbid_in_capture();
cudaError_t add_node(CudaStreamOnCpu& stream, std::function<void()> work);
cudaError_t wait_captured(CudaStreamOnCpu& stream, const CudaEventOnCpu& event);

}  // namespace convoy::cuda_on_cpu
