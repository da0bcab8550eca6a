// Graphs: what is captured, what a capture forbids, and that replays do what the streams did.
#include <gtest/gtest.h>

#include <thread>

#include "core/device/device_cuda.h"
#include "core/device/stream_cuda.h"
#include "tests/cuda_on_cpu/machine.h"
#include "tests/cuda_on_cpu/streams.h"

namespace convoy {
namespace {

using cuda_on_cpu::boot, cuda_on_cpu::enqueue, cuda_on_cpu::live, cuda_on_cpu::Machine, cuda_on_cpu::Schedule;

const std::vector<Machine> kMachines = {{Schedule::kProgram},     {Schedule::kRandom, 1},  {Schedule::kRandom, 2},
                                        {Schedule::kFirstStream}, {Schedule::kLastStream}, {Schedule::kThreads}};

class Captures : public testing::Test {
 protected:
  Captures() {
    boot({});
    device_ = cuda_device(0);
  }
  cudaStream_t compute() { return cuda_stream(device_->compute()); }
  void begin() { check(cudaStreamBeginCapture(compute(), cudaStreamCaptureModeThreadLocal)); }
  cudaError_t end() {
    graph_ = {};
    return cudaStreamEndCapture(compute(), graph_.out());
  }

  std::unique_ptr<Device> device_;
  Handle<cudaGraph_t, cudaGraphDestroy> graph_;
};

// y = 10 (x + 1) + 1 on two streams that fork and join.
void forked(Device& device, Stream& other, float* x, float* y) {
  enqueue(cuda_stream(device.compute()), "add", [=] { *x += 1; });
  other.wait_for(device.compute());
  enqueue(cuda_stream(other), "scale", [=] { *y = 10 * *x; });
  device.compute().wait_for(other);
  enqueue(cuda_stream(device.compute()), "add", [=] { *y += 1; });
}

TEST(Graphs, ReplayWhatWasCapturedUnderEverySchedule) {
  for (const Machine& machine : kMachines) {
    boot(machine);
    const std::unique_ptr<Device> device = cuda_device(0);
    const std::unique_ptr<Stream> other = device->make_stream();
    const Buffer x(device->allocator(), 4), y(device->allocator(), 4), result(device->host_allocator(), 4);
    const std::unique_ptr<CapturedWork> work =
        device->capture([&] { forked(*device, *other, x.as<float>(), y.as<float>()); });
    const cuda_on_cpu::Live before = live();
    for (int step = 1; step <= 500; ++step) {
      work->launch(device->compute());
      if (step % 100 != 0) continue;
      device->copy(result.data(), y.data(), 4, device->compute());
      device->compute().synchronize();
      EXPECT_EQ(*result.as<float>(), static_cast<float>(10 * step + 1));
    }
    EXPECT_EQ(live(), before);
  }
  boot({});
}

TEST_F(Captures, NothingRunsWhileItIsCaptured) {
  int runs = 0;
  const std::unique_ptr<CapturedWork> work = device_->capture([&] { enqueue(compute(), "count", [&] { ++runs; }); });
  device_->compute().synchronize();
  EXPECT_EQ(runs, 0);
  for (int i = 0; i < 3; ++i) work->launch(device_->compute());
  device_->compute().synchronize();
  EXPECT_EQ(runs, 3);
}

TEST_F(Captures, NodesAreCounted) {
  const std::unique_ptr<Stream> other = device_->make_stream();
  begin();
  cudaStreamCaptureStatus status{};
  check(cudaStreamIsCapturing(compute(), &status));
  EXPECT_EQ(status, cudaStreamCaptureStatusActive);
  forked(*device_, *other, nullptr, nullptr);
  check(end());
  size_t nodes = 0;
  check(cudaGraphGetNodes(graph_.get(), nullptr, &nodes));
  EXPECT_EQ(nodes, 3u);
}

TEST_F(Captures, AStreamThatIsNotJoinedIsAnError) {
  const std::unique_ptr<Stream> other = device_->make_stream();
  begin();
  other->wait_for(device_->compute());
  enqueue(cuda_stream(*other), "lost", [] {});
  EXPECT_EQ(end(), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(graph_.get(), nullptr);
  device_->compute().synchronize();  // both are ordinary streams again
  other->synchronize();
  cudaGetLastError();
}

TEST_F(Captures, WhatWaitsIsForbidden) {
  CudaEventHandle event;
  check(cudaEventCreateWithFlags(event.out(), cudaEventDisableTiming));
  const Buffer memory(device_->allocator(), 4);
  int pageable = 0;
  const std::pair<const char*, std::function<cudaError_t()>> calls[] = {
      {"synchronize", [&] { return cudaStreamSynchronize(compute()); }},
      {"synchronize another", [&] { return cudaStreamSynchronize(cuda_stream(device_->copies())); }},
      {"synchronize the device", [&] { return cudaDeviceSynchronize(); }},
      {"query", [&] { return cudaStreamQuery(compute()); }},
      {"query an event", [&] { return cudaEventQuery(event.get()); }},
      {"allocate", [&] { return cudaMalloc(reinterpret_cast<void**>(&pageable), 4); }},
      {"free", [&] { return cudaFree(memory.data()); }},
      {"pageable memory", [&] { return cudaMemcpyAsync(memory.data(), &pageable, 4, cudaMemcpyDefault, compute()); }},
  };
  for (const auto& [name, call] : calls) {
    begin();
    EXPECT_EQ(call(), cudaErrorStreamCaptureUnsupported) << name;
    EXPECT_EQ(cudaLaunchHostFunc(
                  compute(), [](void*) {}, nullptr),
              cudaErrorStreamCaptureInvalidated)
        << name;
    EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated) << name;
    check(cudaStreamSynchronize(compute()));
  }
  begin();
  EXPECT_EQ(cudaMemset(memory.data(), 0, 4), cudaErrorStreamCaptureImplicit);
  EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
  cudaGetLastError();
}

TEST_F(Captures, DependOnNothingOutside) {
  CudaEventHandle before, within;
  check(cudaEventCreateWithFlags(before.out(), cudaEventDisableTiming));
  check(cudaEventCreateWithFlags(within.out(), cudaEventDisableTiming));
  enqueue(compute(), "before", [] {});
  check(cudaEventRecord(before.get(), compute()));
  begin();
  check(cudaEventRecord(within.get(), compute()));
  EXPECT_EQ(cudaStreamWaitEvent(compute(), before.get()), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaEventSynchronize(within.get()), cudaErrorCapturedEvent);
  EXPECT_EQ(cudaStreamWaitEvent(compute(), within.get()), cudaErrorCapturedEvent);
  cudaGetLastError();
}

TEST_F(Captures, EndWhereTheyBegan) {
  const std::unique_ptr<Stream> other = device_->make_stream();
  EXPECT_EQ(end(), cudaErrorIllegalState);
  begin();
  EXPECT_EQ(cudaStreamBeginCapture(compute(), cudaStreamCaptureModeThreadLocal), cudaErrorIllegalState);
  std::thread([&] { EXPECT_EQ(end(), cudaErrorStreamCaptureWrongThread); }).join();
  other->wait_for(device_->compute());
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(cuda_stream(*other), &graph), cudaErrorStreamCaptureUnmatched);
  EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
  cudaGetLastError();
}

TEST_F(Captures, TwoDoNotMerge) {
  begin();
  const cudaStream_t other = cuda_stream(device_->copies());
  check(cudaStreamBeginCapture(other, cudaStreamCaptureModeRelaxed));
  EXPECT_THROW(device_->copies().wait_for(device_->compute()), Error);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(other, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(end(), cudaSuccess);
  cudaGetLastError();
}

TEST_F(Captures, AnExceptionLeavesTheStreamUsable) {
  EXPECT_THROW(device_->capture([] { throw InternalError("no"); }), InternalError);
  EXPECT_NE(device_->capture([&] { enqueue(compute(), "work", [] {}); }), nullptr);
}

TEST_F(Captures, DestroyedHandlesAreRefused) {
  begin();
  check(end());
  cudaGraphExec_t executable = nullptr;
  check(cudaGraphInstantiate(&executable, graph_.get()));
  check(cudaGraphExecDestroy(executable));
  EXPECT_EQ(cudaGraphLaunch(executable, compute()), cudaErrorInvalidValue);
  cudaGetLastError();
}

}  // namespace
}  // namespace convoy
