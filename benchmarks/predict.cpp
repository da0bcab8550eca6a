// Images per second from decoded pixels to probabilities, for scripts/compare-predict.
//
//   convoy_bench_predict MODEL.yaml WEIGHTS.safetensors IMAGES.npy [--threads N] [--precision f32|bf16] [--cpu-time]
//   [--plan]
//
// The weights are torchvision's; the images [n,H,W,C] u8, n of them a batch.  Prints the
// probabilities of the batch as one line of JSON, then reads lines: for each, a number of seconds, it predicts the
// batch again and again for so long, and prints images per second.  With --cpu-time seconds are those that processors
// worked for it.  --plan prints the steps with their times instead.
#include <time.h>

#include <cstdio>
#include <cstring>
#include <iostream>

#include "core/io/npy.h"
#include "dist/communicator.h"
#include "launcher/exchange/open_network.h"
#include "launcher/inference.h"

namespace convoy {
namespace {

double now(clockid_t clock) {
  timespec time = {};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct Options {
  std::string model, weights, images;
  int threads = 1;
  bool plan = false, cpu_time = false;
  Precision precision = Precision::kF32;
};

Options parse(const std::vector<std::string>& words) {
  if (words.size() < 3) throw Error(ExitCode::kUsage, "expected MODEL.yaml WEIGHTS.safetensors IMAGES.npy");
  Options options{words[0], words[1], words[2]};
  for (size_t i = 3; i < words.size(); ++i) {
    if (words[i] == "--plan") {
      options.plan = true;
    } else if (words[i] == "--cpu-time") {
      options.cpu_time = true;
    } else if (words[i] == "--threads" && i + 1 < words.size()) {
      options.threads = std::stoi(words[++i]);
    } else if (words[i] == "--precision" && i + 1 < words.size()) {
      options.precision = words[++i] == "bf16" ? Precision::kBF16 : Precision::kF32;
    } else {
      throw Error(ExitCode::kUsage, "unknown option " + words[i]);
    }
  }
  return options;
}

NpyArray array_of(const std::string& path) {
  const std::vector<std::byte> bytes = read_file(path, int64_t{1} << 32);
  const auto* begin = reinterpret_cast<const uint8_t*>(bytes.data());
  NpyArray array = parse_npy({begin, begin + bytes.size()}, path);
  if (array.type != "|u1" || array.dims.size() != 4) bad_data(path, "expected u8 images [n,H,W,C]");
  return array;
}

Network network_of(const Options& options, const NpyArray& images) {
  NetworkOptions how;
  how.model_file = options.model;
  how.preprocessing = "torch";
  Network network = open_network(options.weights, how).network;
  const std::vector<int64_t>& dims = images.dims;
  if (network.sample.h != dims[1] || network.sample.w != dims[2] || network.sample.c != dims[3]) {
    bad_data(options.images, "expected images of " + to_string(network.sample));
  }
  return network;
}

class Bench {
 public:
  Bench(const Options& options, NpyArray images)
      : images_(std::move(images)),
        backend_(make_backend(experiment(options), *host_, options.threads)),
        inference_(network_of(options, images_), backend_, {.rows = static_cast<int>(images_.dims[0])}) {}

  // Of all images: what is timed.
  const std::vector<double>& predict() {
    const std::span<const float> logits = inference_.run(std::span<const uint8_t>(images_.bytes));
    const auto classes = static_cast<size_t>(inference_.classes());
    all_.clear();
    for (size_t row = 0; row < logits.size(); row += classes) {
      softmax(logits.subspan(row, classes), probabilities_);
      all_.insert(all_.end(), probabilities_.begin(), probabilities_.end());
    }
    return all_;
  }

  void print_probabilities() {
    const char* between = "[";
    for (const double probability : predict()) {
      std::printf("%s%.9g", between, probability);
      between = ",";
    }
    std::printf("]\n");
    std::fflush(stdout);
  }

  void serve(clockid_t clock) {
    for (double seconds = 0; std::cin >> seconds;) {
      const double begin = now(clock);
      int64_t count = 0;
      do {
        predict();
        count += images_.dims[0];
      } while (now(clock) - begin < seconds);
      std::printf("%.3f\n", static_cast<double>(count) / (now(clock) - begin));
      std::fflush(stdout);
    }
  }

  // The shortest time of each step out of many runs, and what it says of itself.
  void print_plan() {
    PlanRunner runner(inference_.plan(), *backend_.device, false);
    const std::vector<Step>& steps = inference_.plan().steps();
    std::vector<double> best(steps.size(), 1e9);
    for (int i = 0; i < 30; ++i) {
      std::vector<double> seconds;
      runner.run_timed(seconds);
      for (size_t k = 0; k < steps.size(); ++k) best[k] = std::min(best[k], seconds[k]);
    }
    double sum = 0;
    for (size_t k = 0; k < steps.size(); ++k) {
      sum += best[k];
      std::printf("%8.3f ms %8.1f GFLOP/s  %-40s %s\n", 1e3 * best[k],
                  static_cast<double>(steps[k].flops) / best[k] / 1e9, steps[k].name.c_str(), steps[k].detail.c_str());
    }
    std::printf("%8.3f ms in all\n", 1e3 * sum);
  }

 private:
  static Experiment experiment(const Options& options) {
    Experiment it;
    it.device = DeviceChoice::kCpu;
    it.train.precision = options.precision;
    return it;
  }

  const std::unique_ptr<Communicator> host_ = make_solo_communicator();
  const NpyArray images_;
  Backend backend_;
  Inference inference_;
  std::vector<double> probabilities_, all_;
};

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) try {
  const convoy::Options options = convoy::parse({argv + 1, argv + argc});
  convoy::Bench bench(options, convoy::array_of(options.images));
  if (options.plan) return bench.print_plan(), 0;
  bench.print_probabilities();
  bench.serve(options.cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "convoy_bench_predict: %s\n", error.what());
  return 64;
}
