// Streams and events under every schedule: what they order, and that what they do not order shows.
#include <gtest/gtest.h>

#include <thread>

#include "core/device/cuda_factory.h"
#include "core/device/device_cuda.h"
#include "core/device/stream_cuda.h"
#include "tests/cuda_on_cpu/errors.h"
#include "tests/cuda_on_cpu/machine.h"
#include "tests/cuda_on_cpu/streams.h"

// There where ThreadSanitizer is.
extern "C" __attribute__((weak)) void* __tsan_create_fiber(unsigned flags);

namespace convoy {
namespace {

using cuda_on_cpu::boot, cuda_on_cpu::enqueue, cuda_on_cpu::live, cuda_on_cpu::Machine, cuda_on_cpu::Schedule;

const std::vector<Machine> kMachines = {{Schedule::kProgram},     {Schedule::kRandom, 1},  {Schedule::kRandom, 2},
                                        {Schedule::kFirstStream}, {Schedule::kLastStream}, {Schedule::kThreads}};

// x = 0; on two streams: x += 1, then x *= 10; waits only where asked.
float add_then_scale(bool waits) {
  const std::unique_ptr<Device> device = cuda_device(0);
  const Buffer memory(device->allocator(), 4), result(device->host_allocator(), 4);
  const std::unique_ptr<Stream> other = device->make_stream();
  float* x = memory.as<float>();
  enqueue(cuda_stream(device->compute()), "add", [=] { *x += 1; });
  if (waits) other->wait_for(device->compute());
  enqueue(cuda_stream(*other), "scale", [=] { *x *= 10; });
  device->compute().wait_for(*other);
  device->copy(result.data(), x, 4, device->compute());
  device->compute().synchronize();
  return *result.as<float>();
}

TEST(Streams, WaitsOrderWorkUnderEverySchedule) {
  for (const Machine& machine : kMachines) {
    boot(machine);
    EXPECT_EQ(add_then_scale(true), 10);
    EXPECT_EQ(live(), cuda_on_cpu::Live());
  }
}

TEST(Streams, AMissingWaitShows) {
  boot({Schedule::kLastStream});
  EXPECT_EQ(add_then_scale(false), 1);
}

TEST(StreamsDeathTest, ThreadSanitizerSeesAMissingWait) {
  if (__tsan_create_fiber == nullptr) GTEST_SKIP() << "not built with ThreadSanitizer";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [](bool waits) {
    boot({Schedule::kThreads});
    add_then_scale(waits);
    boot({});
    std::exit(0);
  };
  EXPECT_EXIT(run(false), testing::ExitedWithCode(66), "data race");
  EXPECT_EXIT(run(true), testing::ExitedWithCode(0), "");
}

TEST(Streams, TheHostSeesNothingBeforeItWaits) {
  for (const Machine& machine : kMachines) {
    if (machine.schedule == Schedule::kThreads) continue;
    boot(machine);
    const std::unique_ptr<Device> device = cuda_device(0);
    const Buffer from(device->allocator(), 4), to(device->host_allocator(), 4);
    *to.as<int>() = 7;
    device->copy(to.data(), from.data(), 4, device->compute());
    EXPECT_EQ(*to.as<int>(), 7);
    device->compute().synchronize();
    EXPECT_EQ(*to.as<int>(), 0);
  }
}

TEST(Streams, PageableMemoryIsReadAtOnceAndPinnedMemoryLater) {
  boot({});
  const std::unique_ptr<Device> device = cuda_device(0);
  const Buffer to(device->allocator(), 8), pinned(device->host_allocator(), 4);
  int pageable = 1;
  *pinned.as<int>() = 1;
  device->copy(to.as<int>(), &pageable, 4, device->compute());
  device->copy(to.as<int>() + 1, pinned.data(), 4, device->compute());
  pageable = *pinned.as<int>() = 2;
  int found[2] = {};
  device->copy(found, to.data(), 8, device->compute());  // waits
  EXPECT_EQ(found[0], 1);
  EXPECT_EQ(found[1], 2);
}

TEST(Streams, EventsMarkPoints) {
  for (const Machine& machine : kMachines) {
    boot(machine);
    const std::unique_ptr<Device> device = cuda_device(0);
    CudaEventHandle before, after;
    check(cudaEventCreateWithFlags(before.out(), cudaEventDefault));
    check(cudaEventCreateWithFlags(after.out(), cudaEventDefault));
    EXPECT_EQ(cudaEventQuery(before.get()), cudaSuccess);  // never recorded
    int done = 0;
    check(cudaEventRecord(before.get(), cuda_stream(device->compute())));
    enqueue(cuda_stream(device->compute()), "first", [&] { done = 1; });
    check(cudaEventRecord(after.get(), cuda_stream(device->compute())));
    enqueue(cuda_stream(device->compute()), "second", [&] { done = 2; });
    while (cudaEventQuery(after.get()) == cudaErrorNotReady) std::this_thread::yield();
    EXPECT_TRUE(machine.schedule == Schedule::kThreads || done == 1);  // a thread may be writing it
    float milliseconds = -1;
    check(cudaEventElapsedTime(&milliseconds, before.get(), after.get()));
    EXPECT_GE(milliseconds, 0);
    while (cudaStreamQuery(cuda_stream(device->compute())) == cudaErrorNotReady) std::this_thread::yield();
    EXPECT_EQ(done, 2);
  }
}

TEST(Streams, EachRankHasADevice) {
  for (const Machine& machine : kMachines) {
    boot(machine);
    std::vector<std::thread> ranks;
    std::vector<float> results(4);
    for (int rank = 0; rank < 4; ++rank) {
      ranks.emplace_back([rank, &results] {
        const std::unique_ptr<Device> device = cuda_device(rank);
        const Buffer memory(device->allocator(), 4);
        float* x = memory.as<float>();
        for (int i = 0; i < 100; ++i) enqueue(cuda_stream(device->compute()), "add", [=] { *x += float(rank); });
        device->copy(&results[static_cast<size_t>(rank)], x, 4, device->compute());
      });
    }
    for (std::thread& rank : ranks) rank.join();
    EXPECT_EQ(results, (std::vector<float>{0, 100, 200, 300}));
  }
}

TEST(Streams, WorkThatFailsEndsEverything) {
  for (const Machine& machine : kMachines) {
    boot(machine);
    const std::unique_ptr<Device> device = cuda_device(0);
    enqueue(cuda_stream(device->compute()), "fails", [] { throw std::runtime_error("a lost rank"); });
    try {
      device->compute().synchronize();
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("a lost rank"), std::string::npos) << error.what();
    }
    void* data = nullptr;
    EXPECT_EQ(cudaMalloc(&data, 4), cudaErrorLaunchFailure);
    cuda_on_cpu::clear_fault();
  }
}

// ---- Memory

TEST(MemoryDeathTest, TheHostMayNotTouchDeviceMemory) {
  boot({});
  const std::unique_ptr<Device> device = cuda_device(0);
  const Buffer memory(device->allocator(), 4);
  EXPECT_DEATH(static_cast<void>(*static_cast<volatile int*>(memory.data())), "");
}

TEST(Memory, StartsAsNanAndEndsAsNan) {
  boot({});
  unsigned* data = nullptr;
  check(cudaMalloc(&data, 1000));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 256, 0u);
  unsigned found = 0;
  check(cudaMemcpyAsync(&found, data + 249, 4, cudaMemcpyDefault));
  EXPECT_EQ(found, 0xffffffffU);
  EXPECT_EQ(cudaMemcpyAsync(&found, data + 250, 4, cudaMemcpyDefault), cudaErrorInvalidValue);  // behind the end
  EXPECT_EQ(cudaMemsetAsync(data, 0, 1001), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(data + 1), cudaErrorInvalidValue);
  check(cudaFree(data));
  EXPECT_EQ(cudaMemcpyAsync(&found, data, 4, cudaMemcpyDefault), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(data), cudaErrorInvalidValue);
  cudaGetLastError();
}

TEST(Memory, SaysWhatIsFreeWhenItRunsOut) {
  boot({.memory = 1 << 20});
  const std::unique_ptr<Device> device = cuda_device(0);
  const Buffer some(device->allocator(), 1 << 19);
  try {
    device->allocator().allocate(1 << 20);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kOutOfMemory);
    EXPECT_STREQ(error.what(), "out of memory: asked for 1048576 bytes on the GPU, 524288 of 1048576 are free");
  }
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(live().allocations, 1);
}

// ---- Machines

TEST(Machines, MayLackADriverOrAGpu) {
  int count = -1;
  boot({.driver = false});
  EXPECT_STREQ(convoy_cuda_device_count(&count), "CUDA driver version is insufficient for CUDA runtime version");
  EXPECT_THROW(cuda_device(0), Error);
  boot({.devices = 0});
  EXPECT_STREQ(convoy_cuda_device_count(&count), "no CUDA-capable device is detected");
  boot({.devices = 2});
  EXPECT_EQ(convoy_cuda_device_count(&count), nullptr);
  EXPECT_EQ(count, 2);
  EXPECT_THROW(cuda_device(2), Error);
  EXPECT_EQ(cuda_device(1)->name(), "CUDA on the CPU, 4 GB, sm_90");
  cudaGetLastError();
}

TEST(Machines, CallsFailWhereATestSaysSo) {
  boot({});
  const std::unique_ptr<Device> device = cuda_device(0);
  cuda_on_cpu::fail_call("cudaEventRecord", 2, cudaErrorUnknown);
  const std::unique_ptr<Stream> other = device->make_stream();
  other->wait_for(device->compute());
  EXPECT_THROW(other->wait_for(device->compute()), Error);
  other->wait_for(device->compute());
  EXPECT_EQ(cudaGetLastError(), cudaErrorUnknown);
}

TEST(Machines, CountWhatIsAlive) {
  boot({});
  {
    const std::unique_ptr<Device> device = cuda_device(0);
    const Buffer memory(device->allocator(), 4), pinned(device->host_allocator(), 4);
    const std::unique_ptr<Event> event = device->make_event();
    EXPECT_EQ(live(), (cuda_on_cpu::Live{.allocations = 1, .pinned = 1, .streams = 2, .events = 3}));
  }
  EXPECT_EQ(live(), cuda_on_cpu::Live());
}

}  // namespace
}  // namespace convoy
