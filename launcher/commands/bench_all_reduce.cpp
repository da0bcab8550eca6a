// As nccl-tests' all_reduce_perf, in place: for each size, sums back to back, the mean of the slowest rank; algbw is
// bytes by time, busbw = algbw 2(p-1)/p what a link carries whatever the algorithm is
// (github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md).  Here a round of sums is repeated, and the median of
// the rounds counts.  On CPUs each round is followed by one in which ranks compute while they sum, for predictions.
#include "launcher/commands/bench_all_reduce.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <vector>

#include <omp.h>
#include <nlohmann/json.hpp>

#include "core/base/threads.h"
#include "launcher/collective_errors.h"
#include "launcher/commands/step_bench.h"
#include "launcher/machine_peak.h"
#include "launcher/stopwatch.h"

namespace convoy {
namespace {

constexpr int kRounds = 5;
constexpr int64_t kLoad = 1 << 12;  // elements of a vector
constexpr int kLoadTimes = 16;
constexpr double kBeside = 2e-3;  // seconds, at least, in which sums and computing compete

// A sum while its ranks compute; medians.  Not known of a device that runs ahead.
struct SumBeside {
  double seconds = 0;
  double share = 0;  // of what it would have computed, that a rank did not
};

struct Measured {
  int64_t bytes = 0;
  double seconds = 0, fastest = 0, slowest = 0;  // of one sum: median, least and most of the rounds
  std::optional<SumBeside> beside = {};
  int64_t wrong = 0;  // elements, of all ranks

  double algorithm_bandwidth() const { return static_cast<double>(bytes) / seconds; }
  double bus_bandwidth(int ranks) const { return algorithm_bandwidth() * 2 * (ranks - 1) / ranks; }
};

// Small integers, of which any order of summation makes the same in f32, and in bf16 too (up to 256 in all).
constexpr int kPeriod = 8;
int addend(int64_t element, int rank, int ranks) {
  return static_cast<int>((element + rank) % (ranks <= 256 / kPeriod ? kPeriod : 2));
}

class AllReduceBench {
 public:
  AllReduceBench(Dtype dtype, int64_t most_bytes, Communicator& host, Backend& backend)
      : dtype_(dtype),
        host_(host),
        communicator_(*backend.communicator),
        device_(*backend.device),
        ops_(*backend.ops),
        tensor_(communicator_.allocator(), most_bytes),
        load_(device_.host_allocator(), 2 * kLoad * omp_get_max_threads() * size_of(Dtype::kF32)),
        exact_(device_.allocator(), most_bytes / size_of(dtype) * size_of(Dtype::kF32)),
        on_host_(device_.host_allocator(), exact_.bytes()) {}

  Measured measure(int64_t bytes, int repeat) {
    const Tensor tensor{tensor_.data(), {{1, 1, 1, static_cast<int>(bytes / size_of(dtype_))}, dtype_}};
    Measured result{.bytes = bytes, .wrong = count_wrong(tensor)};
    // Zeros stay zeros, however often they are summed.
    ops_.clear(static_cast<float*>(tensor.data), bytes / size_of(Dtype::kF32), device_.compute());
    time(tensor, repeat);  // not counted
    std::vector<double> rounds, beside, shares;
    for (int round = 0; round < kRounds; ++round) {
      rounds.push_back(most(time(tensor, repeat), host_));
      if (device_.runs_ahead()) continue;
      const auto several = static_cast<int>(std::ceil(kBeside / rounds.back()));  // of short sums
      const auto [seconds, share] = time_beside(tensor, std::max(repeat, several));
      beside.push_back(seconds);
      shares.push_back(share);
    }
    result.fastest = std::ranges::min(rounds);
    result.slowest = std::ranges::max(rounds);
    result.seconds = median(rounds);
    if (!beside.empty()) result.beside = {median(beside), median(shares)};
    return result;
  }

 private:
  void sum(const Tensor& tensor) {
    communicator_.stream().wait_for(device_.compute());
    communicator_.all_reduce_sum(tensor);
  }
  double time(const Tensor& tensor, int repeat) {
    host_.barrier();
    const Stopwatch watch;
    for (int i = 0; i < repeat; ++i) sum(tensor);
    communicator_.stream().synchronize();
    return watch.seconds() / repeat;
  }
  // Some microseconds of all threads on what stays in the nearest cache, as most of what convolutions read does: what
  // sums throw out of larger ones does not count.
  void compute() {
    parallel_for(omp_get_max_threads(), 1, [this](int64_t begin, int64_t end) {
      for (int64_t thread = begin; thread < end; ++thread) {
        float* const own = load_.as<float>() + 2 * kLoad * thread;
        for (int time = 0; time < kLoadTimes; ++time) {
          for (int64_t i = 0; i < kLoad; ++i) own[i] += own[kLoad + i];
        }
      }
    });
  }
  // Of compute(), a second, while all ranks do nothing else.
  double compute_rate() {
    host_.barrier();
    const Stopwatch watch;
    int64_t computed = 0;
    for (; watch.seconds() < kBeside; ++computed) compute();
    return static_cast<double>(computed) / watch.seconds();
  }
  SumBeside time_beside(const Tensor& tensor, int repeat) {
    const double rate = compute_rate();
    host_.barrier();
    const Stopwatch watch;
    for (int i = 0; i < repeat; ++i) sum(tensor);
    int64_t computed = 0;
    for (; communicator_.in_flight() > 0; ++computed) {
      compute();
      communicator_.progress();
    }
    communicator_.stream().synchronize();  // throws what ended it
    const double seconds = watch.seconds();
    // Of all ranks together: of those that share a processor one computes more than another.
    const double kept = mean(static_cast<double>(computed), host_) / mean(rate * seconds, host_);
    return {most(seconds / repeat, host_), std::clamp(1 - kept, 0.0, 1.0)};
  }
  // Over all ranks, after one sum of addends.
  int64_t count_wrong(const Tensor& tensor) {
    const int64_t elements = tensor.type.shape.elements(), bytes = elements * size_of(Dtype::kF32);
    const int ranks = host_.size();
    Stream& compute = device_.compute();
    auto* const values = on_host_.as<float>();
    for (int64_t i = 0; i < elements; ++i) values[i] = static_cast<float>(addend(i, host_.rank(), ranks));
    device_.copy(exact_.data(), values, bytes, compute);
    ops_.convert(tensor.data, dtype_, exact_.data(), Dtype::kF32, elements, compute);
    sum(tensor);
    compute.wait_for(communicator_.stream());
    ops_.convert(exact_.data(), Dtype::kF32, tensor.data, dtype_, elements, compute);
    device_.copy(values, exact_.data(), bytes, compute);
    compute.synchronize();
    std::array<float, kPeriod> expected{};
    for (int i = 0; i < kPeriod; ++i) {
      for (int rank = 0; rank < ranks; ++rank)
        expected[static_cast<size_t>(i)] += static_cast<float>(addend(i, rank, ranks));
    }
    int64_t wrong = 0, all = 0;
    for (int64_t i = 0; i < elements; ++i) wrong += values[i] != expected[static_cast<size_t>(i % kPeriod)] ? 1 : 0;
    for (const std::string& of_rank : host_.all_gather_bytes(std::to_string(wrong))) all += std::stoll(of_rank);
    return all;
  }

  Dtype dtype_;
  Communicator& host_;
  Communicator& communicator_;
  Device& device_;
  FlatOps& ops_;
  Buffer tensor_, load_, exact_, on_host_;  // all but the first f32
};

void print_json(const std::vector<Measured>& rows, Dtype dtype, int repeat, double bandwidth, const Communicator& host,
                const Backend& backend) {
  nlohmann::json sizes = nlohmann::json::array();
  for (const Measured& row : rows) {
    nlohmann::json size{{"bytes", row.bytes},
                        {"seconds", row.seconds},
                        {"seconds_fastest", row.fastest},
                        {"seconds_slowest", row.slowest},
                        {"algbw", row.algorithm_bandwidth()},
                        {"busbw", row.bus_bandwidth(host.size())},
                        {"wrong", row.wrong}};
    if (row.beside) size.update({{"seconds_beside", row.beside->seconds}, {"share_beside", row.beside->share}});
    sizes.push_back(std::move(size));
  }
  const nlohmann::json result{{"ranks", host.size()},
                              {"communicator", backend.communicator->name()},
                              {"device", backend.device->name()},
                              {"dtype", to_string(dtype)},
                              {"repeat", repeat},
                              {"memory_bytes_per_second", bandwidth},
                              {"sizes", sizes}};
  std::printf("%s\n", result.dump().c_str());
}

void print_table(const std::vector<Measured>& rows, Dtype dtype, int repeat, double bandwidth, const Communicator& host,
                 const Backend& backend) {
  std::printf("all-reduce of %s in place, %d ranks, %s; %s\n", to_string(dtype), host.size(),
              backend.communicator->name().c_str(), backend.device->name().c_str());
  std::printf("median of %d rounds of %d sums, of the slowest rank; a += b over vectors moves %.1f GB/s\n\n", kRounds,
              repeat, 1e-9 * bandwidth);
  std::printf("| bytes | elements | µs | fastest | slowest | algbw, GB/s | busbw, GB/s | wrong |\n");
  std::printf("|--:|--:|--:|--:|--:|--:|--:|--:|\n");
  for (const Measured& row : rows) {
    std::printf("| %lld | %lld | %.1f | %.1f | %.1f | %.2f | %.2f | %lld |\n", static_cast<long long>(row.bytes),
                static_cast<long long>(row.bytes / size_of(dtype)), 1e6 * row.seconds, 1e6 * row.fastest,
                1e6 * row.slowest, 1e-9 * row.algorithm_bandwidth(), 1e-9 * row.bus_bandwidth(host.size()),
                static_cast<long long>(row.wrong));
  }
}

}  // namespace

void bench_all_reduce(const CommandLine& line, const Experiment& experiment, Communicator& host, Backend& backend) {
  const Dtype dtype = experiment.distributed.gradients;
  const int64_t least = std::stoll(flag(line, "minbytes", "4096")),
                largest = std::stoll(flag(line, "maxbytes", "134217728"));
  run_on_all_ranks(host, [&] {
    if (least % 4 == 0 && least <= largest) return;
    throw Error(ExitCode::kUsage, "bench all-reduce: expected sizes from a multiple of 4 on, found --minbytes=" +
                                      std::to_string(least) + " and --maxbytes=" + std::to_string(largest));
  });
  AllReduceBench bench(dtype, largest, host, backend);
  std::vector<Measured> rows;
  for (int64_t bytes = least; bytes <= largest; bytes *= 2) rows.push_back(bench.measure(bytes, line.repeat));
  host.barrier();
  const double bandwidth = measure_bandwidth(backend);
  if (host.rank() == 0) (line.json ? print_json : print_table)(rows, dtype, line.repeat, bandwidth, host, backend);
  for (const Measured& row : rows) {
    if (row.wrong == 0) continue;
    throw CollectiveError(ExitCode::kInternal, "all-reduce of " + std::to_string(row.bytes) +
                                                   " bytes: " + std::to_string(row.wrong) + " elements are wrong");
  }
}

}  // namespace convoy
