// Kernels as fibres: what they compute, and that planted faults show.
#include <gtest/gtest.h>

#include <numeric>

#include "core/device/device_cuda.h"
#include "core/device/elements_cuda.h"
#include "core/device/launch_cuda.h"
#include "tests/cuda_on_cpu/errors.h"
#include "tests/cuda_on_cpu/machine.h"

namespace convoy {
namespace {

using cuda_on_cpu::kernel_settings, cuda_on_cpu::Order;

class Blocks : public testing::Test {
 protected:
  Blocks() {
    cuda_on_cpu::boot({});
    kernel_settings() = {};
    device_ = cuda_device(0);
  }
  void TearDown() override {
    device_ = nullptr;
    kernel_settings() = {};
    cuda_on_cpu::clear_fault();
  }

  // Runs kernel(from, to) in one block and returns to[0 … threads).
  std::vector<float> run(void (*kernel)(const float*, float*), int threads, const std::vector<float>& values) {
    const Buffer from(device_->allocator(), bytes(values)), to(device_->allocator(), threads * 4);
    device_->copy(from.data(), values.data(), bytes(values), device_->compute());
    launch(kernel, 1, threads, device_->compute(), from.as<float>(), to.as<float>());
    std::vector<float> result(static_cast<size_t>(threads));
    device_->copy(result.data(), to.data(), bytes(result), device_->compute());
    return result;
  }
  std::vector<float> run(void (*kernel)(const float*, float*), int threads) { return run(kernel, threads, ones()); }
  static std::vector<float> ones() { return std::vector<float>(1024, 1); }
  static int64_t bytes(const std::vector<float>& of) { return static_cast<int64_t>(of.size() * 4); }

  // What running it reports.
  std::string fault_of(void (*kernel)(const float*, float*), int threads) {
    try {
      run(kernel, threads);
    } catch (const Error& error) {
      cuda_on_cpu::clear_fault();
      return error.what();
    }
    return "none";
  }

  std::unique_ptr<Device> device_;
};

const std::vector<cuda_on_cpu::KernelSettings> kWays = {
    {0, Order::kForward}, {0, Order::kBackward}, {0, Order::kShuffled, 1}, {0, Order::kShuffled, 2}};

// Two sums through the same scratch memory; each template argument leaves out one barrier.
template <bool kBetween, bool kWithin>
__global__ void two_sums(const float* x, float* y) {
  __shared__ float scratch[32];
  const auto sum = [&](float value) {
    value = warp_sum(value);
    if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = value;
    if (kWithin) __syncthreads();
    return warp_sum(threadIdx.x % kWarp < blockDim.x / kWarp ? scratch[threadIdx.x % kWarp] : 0.0F);
  };
  const float first = sum(x[threadIdx.x]);
  if (kBetween) __syncthreads();
  y[threadIdx.x] = first + 1000 * sum(threadIdx.x < 32 ? 2 * x[threadIdx.x] : 0);
}

TEST_F(Blocks, SumsAreRightInEveryOrderAndSize) {
  for (const auto& way : kWays) {
    kernel_settings() = way;
    for (int threads : {32, 64, 256, 1024}) {
      const std::vector<float> wanted(static_cast<size_t>(threads), 64000.0F + static_cast<float>(threads));
      EXPECT_EQ(run(two_sums<true, true>, threads), wanted) << threads;
    }
  }
}

TEST_F(Blocks, SomeOrderShowsAMissingBarrier) {
  const std::vector<float> wanted(256, 64256.0F);
  for (auto* kernel : {two_sums<false, true>, two_sums<true, false>}) {
    int wrong = 0;
    for (const auto& way : kWays) {
      kernel_settings() = way;
      if (run(kernel, 256) != wanted) ++wrong;
    }
    EXPECT_GT(wrong, 0);
  }
}

__global__ void sums_half_a_warp(const float* x, float* y) {
  float sum = x[threadIdx.x];
  for (int lanes = 8; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, lanes);
  y[threadIdx.x] = sum;
}

TEST_F(Blocks, AWarpHas32Lanes) { EXPECT_EQ(run(sums_half_a_warp, 32), std::vector<float>(32, 16)); }

__global__ void half_meets(const float*, float* y) {
  if (threadIdx.x < 100) __syncthreads();
  y[threadIdx.x] = 1;
}
__global__ void half_a_warp_shuffles(const float* x, float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = warp_sum(x[threadIdx.x]);
}
__global__ void shuffles_from_outside(const float* x, float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0xffffU, x[threadIdx.x], 20);
}
__global__ void others_shuffle(const float* x, float* y) {
  y[threadIdx.x] = threadIdx.x % 2 == 0 ? __shfl_sync(0xffffffffU, x[0], 0) : __shfl_xor_sync(0xfffffff0U, x[0], 1);
}

TEST_F(Blocks, WhoWaitsForEverIsNamed) {
  for (const auto& way : kWays) {
    kernel_settings() = way;
    const std::string barrier = fault_of(half_meets, 256);
    EXPECT_NE(barrier.find("half_meets"), std::string::npos) << barrier;
    EXPECT_NE(barrier.find("block (0,0,0) of (1,1,1), 256 threads: 100 wait at __syncthreads(), 0 for lanes of their "
                           "warp, 156 have ended"),
              std::string::npos)
        << barrier;
    const std::string shuffle = fault_of(half_a_warp_shuffles, 64);
    EXPECT_NE(shuffle.find("16 for lanes of their warp, 48 have ended"), std::string::npos) << shuffle;
    const std::string outside = fault_of(shuffles_from_outside, 32);
    EXPECT_NE(outside.find("reads a lane that is not in the mask"), std::string::npos) << outside;
    EXPECT_NE(fault_of(others_shuffle, 32), "none");
  }
  EXPECT_EQ(run(two_sums<true, true>, 32)[0], 64032);  // kernels run again
}

__global__ void shuffles(const float* x, float* y) {
  const float a = __shfl_up_sync(0xffffffffU, x[threadIdx.x], 1), b = __shfl_down_sync(0xffffffffU, x[threadIdx.x], 2);
  const float c = __shfl_sync(0xffffffffU, x[threadIdx.x], 3, 8),
              d = __shfl_down_sync(0xffffffffU, x[threadIdx.x], 1, 4);
  __syncwarp();
  y[threadIdx.x] = a + 100 * b + 10000 * c + 1000000 * d;
}

TEST_F(Blocks, ShufflesFollowTheirDefinition) {
  std::vector<float> x(32);
  std::iota(x.begin(), x.end(), 0.0F);
  const std::vector<float> y = run(shuffles, 32, x);
  for (int lane = 0; lane < 32; ++lane) {
    const int a = lane == 0 ? 0 : lane - 1, b = lane > 29 ? lane : lane + 2, c = lane / 8 * 8 + 3;
    const int d = lane % 4 == 3 ? lane : lane + 1;
    EXPECT_EQ(y[static_cast<size_t>(lane)], static_cast<float>(a + 100 * b + 10000 * c + 1000000 * d)) << lane;
  }
}

__global__ void counts(const float* x, float* y) {
  __shared__ int count;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  const unsigned odd = __ballot_sync(0xffffffffU, x[threadIdx.x] > 0 && threadIdx.x % 2 == 1 ? 1 : 0);
  if (threadIdx.x % kWarp == 0) atomicAdd(&count, __builtin_popcount(odd));
  __syncthreads();
  y[threadIdx.x] = static_cast<float>(count);
}

TEST_F(Blocks, BallotsAndAtomicSumsCount) { EXPECT_EQ(run(counts, 256), std::vector<float>(256, 128)); }

__global__ void where(const float*, float* y) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const unsigned i = block * blockDim.x * blockDim.y * blockDim.z + thread;
  y[i] = static_cast<float>(i);
}

TEST_F(Blocks, EveryThreadOfEveryBlockRunsOnce) {
  const Buffer to(device_->allocator(), 24 * 64 * 4);
  launch(where, dim3(2, 3, 4), dim3(4, 8, 2), device_->compute(), nullptr, to.as<float>());
  std::vector<float> found(24 * 64), wanted(found.size());
  device_->copy(found.data(), to.data(), bytes(found), device_->compute());
  std::iota(wanted.begin(), wanted.end(), 0.0F);
  EXPECT_EQ(found, wanted);
}

TEST_F(Blocks, ImpossibleLaunchesAreRefused) {
  for (auto [grid, block] : {std::pair(dim3(1), dim3(1025)), std::pair(dim3(0), dim3(32)), std::pair(dim3(1), dim3(0)),
                             std::pair(dim3(1, 65536), dim3(32)), std::pair(dim3(1), dim3(32, 64))}) {
    EXPECT_THROW(launch(where, grid, block, device_->compute(), nullptr, nullptr), Error);
  }
}

}  // namespace
}  // namespace convoy
