#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "dist/data_parallel.h"

namespace convoy {
namespace {

constexpr int64_t kLeastBytes = int64_t{64} << 10, kMostBytes = int64_t{4} << 20;
constexpr int kRounds = 5;

// Median of a few.
double seconds_of_sum(Communicator& communicator, float* zeros, int64_t elements) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  for (int i = 0; i < kRounds; ++i) {
    const Clock::time_point begin = Clock::now();
    communicator.all_reduce_sum({zeros, {{1, 1, 1, static_cast<int>(elements)}}});
    communicator.stream().synchronize();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  std::ranges::nth_element(seconds, seconds.begin() + kRounds / 2);
  return seconds[kRounds / 2];
}

// All ranks go by what rank 0 found.
double of_rank_0(double mine, Communicator& communicator) {
  const std::string bytes = communicator.broadcast_bytes({reinterpret_cast<const char*>(&mine), sizeof mine}, 0);
  std::memcpy(&mine, bytes.data(), sizeof mine);
  return mine;
}

}  // namespace

SumTime measure_sum(Communicator& communicator) {
  const Buffer zeros(communicator.allocator(), kMostBytes);
  const auto seconds = [&](int64_t bytes) {
    const double mine = seconds_of_sum(communicator, zeros.as<float>(), bytes / size_of(Dtype::kF32));
    return of_rank_0(mine, communicator);
  };
  seconds(size_of(Dtype::kF32));  // warm-up
  SumTime time{.latency = seconds(size_of(Dtype::kF32))};
  // Larger and larger, until the latency no longer counts.
  for (int64_t bytes = kLeastBytes;; bytes *= 4) {
    const double took = seconds(bytes);
    time.bytes_per_second = static_cast<double>(bytes) / std::max(took - time.latency, 0.1 * took);
    if (took > 10 * time.latency || bytes == kMostBytes) return time;
  }
}

void cut_by(const SumTime& time, BucketPolicy& policy) {
  constexpr double kLeast = 4096, kMost = 256 << 20;
  const double bytes = time.latency * time.bytes_per_second;  // that travel in as long as the latency
  policy.bytes = static_cast<int64_t>(std::clamp(9 * bytes, kLeast, kMost));
  policy.last_bytes = static_cast<int64_t>(std::clamp(bytes, kLeast, kMost));
  policy.by_time = false;
  policy.sum_time = time;
}

}  // namespace convoy
