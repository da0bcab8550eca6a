// As nccl-tests' all_reduce_perf, in place: for each size, sums back to back, the mean of the slowest rank; algbw is
// bytes by time, busbw = algbw 2(p-1)/p what a link carries whatever the algorithm is
// (github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md).  Here a round of sums is repeated, and the median of
// the rounds counts.
#include "launcher/commands/bench_all_reduce.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <vector>

#include <nlohmann/json.hpp>

#include "launcher/collective_errors.h"
#include "launcher/commands/step_bench.h"
#include "launcher/machine_peak.h"

namespace convoy {
namespace {

constexpr int kRounds = 5;

struct Measured {
  int64_t bytes = 0;
  double seconds = 0, fastest = 0, slowest = 0;  // of one sum: median, least and most of the rounds
  double cpu_seconds = 0;  // of it, that the processors of a rank worked; median, of that with most
  int64_t wrong = 0;       // elements, of all ranks

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
        exact_(device_.allocator(), most_bytes / size_of(dtype) * size_of(Dtype::kF32)),
        on_host_(device_.host_allocator(), exact_.bytes()) {}

  Measured measure(int64_t bytes, int repeat) {
    const Tensor tensor{tensor_.data(), {{1, 1, 1, static_cast<int>(bytes / size_of(dtype_))}, dtype_}};
    Measured result{.bytes = bytes, .wrong = count_wrong(tensor)};
    // Zeros stay zeros, however often they are summed.
    ops_.clear(static_cast<float*>(tensor.data), bytes / size_of(Dtype::kF32), device_.compute());
    std::vector<double> rounds, cpu;
    for (int round = -1; round < kRounds; ++round) {  // -1: not counted
      const std::clock_t cpu_begin = std::clock();    // of all threads
      const double seconds = most(time(tensor, repeat), host_);
      const double busy = static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC / repeat;
      const double busiest = most(busy, host_);
      if (round < 0) continue;
      rounds.push_back(seconds);
      cpu.push_back(busiest);
    }
    result.fastest = std::ranges::min(rounds);
    result.slowest = std::ranges::max(rounds);
    result.seconds = median(rounds);
    result.cpu_seconds = median(cpu);
    return result;
  }

 private:
  void sum(const Tensor& tensor) {
    communicator_.stream().wait_for(device_.compute());
    communicator_.all_reduce_sum(tensor);
  }
  double time(const Tensor& tensor, int repeat) {
    host_.barrier();
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < repeat; ++i) sum(tensor);
    communicator_.stream().synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / repeat;
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
  Buffer tensor_, exact_, on_host_;  // the latter two f32
};

void print_json(const std::vector<Measured>& rows, Dtype dtype, int repeat, double bandwidth, const Communicator& host,
                const Backend& backend) {
  nlohmann::json sizes = nlohmann::json::array();
  for (const Measured& row : rows) {
    sizes.push_back({{"bytes", row.bytes},
                     {"seconds", row.seconds},
                     {"seconds_fastest", row.fastest},
                     {"seconds_slowest", row.slowest},
                     {"cpu_seconds", row.cpu_seconds},
                     {"algbw", row.algorithm_bandwidth()},
                     {"busbw", row.bus_bandwidth(host.size())},
                     {"wrong", row.wrong}});
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
