#include "launcher/commands/bench_loader.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <limits>
#include <numeric>
#include <optional>
#include <set>

#include "core/data/image_store.h"
#include "core/data/loader.h"
#include "launcher/collective_errors.h"
#include "launcher/commands/step_bench.h"
#include "launcher/config/values.h"
#include "launcher/feeding.h"
#include "launcher/setup.h"
#include "launcher/stopwatch.h"

namespace convoy {
namespace {

constexpr int kLoaderRounds = 5;
constexpr double kLeastSeconds = 0.1;  // of a round
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// One number of loader threads.  By round, of all ranks.
struct LoaderPoint {
  int threads = 1;
  std::vector<double> images_per_second = {}, slowest_rank = {};  // the sum; of one rank
  std::vector<double> cpu_seconds = {}, storage_bytes = {};       // for an image

  double rate() const { return median(images_per_second); }
  double spread() const {
    const auto [least, most] = std::ranges::minmax(images_per_second);
    return (most - least) / rate();
  }
};

double cpu_seconds() {
  std::timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// That the system had to fetch for this process so far: what no cache had.
double bytes_from_storage() {
  std::ifstream file("/proc/self/io");
  std::string name;
  for (double value = 0; file >> name >> value;) {
    if (name == "read_bytes:") return value;
  }
  return kUnknown;
}

double sum(double mine, RankGroup& group) {
  const std::vector<double> all = gathered(mine, group);
  return std::accumulate(all.begin(), all.end(), 0.0);
}

// One, two, four …, as many as the experiment asks for, and all.
std::set<int> thread_counts(int threads, int workers) {
  std::set<int> counts{threads};
  if (workers > 0) counts.insert(workers);
  for (int count = 1; count < threads; count *= 2) counts.insert(count);
  return counts;
}

Feeding feeding_of(const Experiment& experiment, const ResolvedBatch& batch, RankGroup& group, const Datasets& data) {
  const uint64_t seed = experiment.experiment.seed;
  if (experiment.data.sharding == Sharding::kShared) {
    return feeding_from_all(data.train->size(), batch, seed, group.rank(), group.size());
  }
  std::vector<HostPart> by_rank;
  const std::string mine = to_text({host_name(), data.train->size(), data.fingerprint});
  for (const std::string& text : group.all_gather_bytes(mine)) by_rank.push_back(parse_host_part(text));
  return feeding_from_host(by_rank, batch, seed, group.rank());
}

// The mean size of a file, of up to a thousand of them that can be read; none where samples are not files of images.
std::optional<double> file_bytes(const DataConfig& data) {
  if (data.format != DataFormat::kImages) return std::nullopt;
  const std::shared_ptr<const ImageStore> store = open_image_splits(data.path).train;
  const int64_t files = std::min<int64_t>(store->size(), 1000);
  double bytes = 0, read = 0;
  std::vector<std::byte> scratch;
  for (int64_t i = 0; i < files; ++i) {
    try {
      bytes += static_cast<double>(store->file(i * store->size() / files, scratch).size());
      ++read;
    } catch (const Error&) {  // data.on_error: skip
    }
  }
  return bytes / read;
}

class LoaderBench {
 public:
  LoaderBench(const Experiment& experiment, int repeat, RankGroup& group, Device& device, const Datasets& data)
      : experiment_(experiment),
        repeat_(repeat),
        group_(group),
        device_(device),
        data_(*data.train),
        batch_(resolve(experiment.batch, group.size())),
        feeding_(feeding_of(experiment, batch_, group, data)) {}

  const ResolvedBatch& batch() const { return batch_; }

  // All points take turns.
  void measure(std::vector<LoaderPoint>& points) {
    for (int round = 0; round < kLoaderRounds; ++round) {
      for (LoaderPoint& point : points) measure(point);
    }
  }

 private:
  struct Usage {
    double images = 0, seconds = 0, cpu_seconds = 0, storage_bytes = 0;
  };

  void measure(LoaderPoint& point) {
    // Ranks begin together, where they told each other the last.  Behind the warm-up loaders would read ahead
    // meanwhile.
    Usage mine;
    run_on_all_ranks(group_, [&] { mine = read(point.threads); });
    const double images = sum(mine.images, group_), rate = mine.images / mine.seconds;
    point.images_per_second.push_back(sum(rate, group_));
    point.slowest_rank.push_back(-most(-rate, group_));
    point.cpu_seconds.push_back(sum(mine.cpu_seconds, group_) / images);
    point.storage_bytes.push_back(sum(mine.storage_bytes, group_) / images);
  }

  // Goes on in the epoch where the loader before ended.
  Usage read(int threads) {
    const int64_t steps = feeding_.sampler.steps_per_epoch();
    Loader loader(data_, feeding_.sampler, device_.host_allocator(),
                  {.rank = feeding_.rank,
                   .world = feeding_.world,
                   .threads = threads,
                   .prefetch = experiment_.data.prefetch,
                   .epoch = steps_ / steps,
                   .step = steps_ % steps,
                   .mix = mix_options(experiment_.data.mix, experiment_.experiment.seed)});
    const int64_t micro_batches =
        share_of(feeding_.sampler.micro_batches_per_step(), feeding_.rank, feeding_.world).count;
    const auto step = [&] {
      int64_t images = 0;
      for (int64_t i = 0; i < micro_batches; ++i) images += loader.next().valid;
      ++steps_;
      return images;
    };
    for (int i = 0; i < StepBench::kWarmUpSteps; ++i) step();
    const Stopwatch watch;
    const double cpu = cpu_seconds(), storage = bytes_from_storage();
    int64_t images = 0;
    for (int i = 0; i < repeat_ || watch.seconds() < kLeastSeconds; ++i) images += step();
    return {static_cast<double>(images), watch.seconds(), cpu_seconds() - cpu, bytes_from_storage() - storage};
  }

  const Experiment& experiment_;
  const int repeat_;
  RankGroup& group_;
  Device& device_;
  const Dataset& data_;
  const ResolvedBatch batch_;
  const Feeding feeding_;
  int64_t steps_ = 0;  // that loaders have read so far
};

nlohmann::json to_json(const std::vector<LoaderPoint>& points) {
  nlohmann::json listed = nlohmann::json::array();
  for (const LoaderPoint& point : points) {
    listed.push_back({{"threads", point.threads},
                      {"images_per_second", point.rate()},
                      {"images_per_second_slowest_rank", median(point.slowest_rank)},
                      {"spread", point.spread()},
                      {"rounds", point.images_per_second},
                      {"cpu_seconds_per_image", median(point.cpu_seconds)},
                      {"storage_bytes_per_image", median(point.storage_bytes)}});  // null: not a number
  }
  return listed;
}

std::string to_markdown(const std::vector<LoaderPoint>& points) {
  std::string text =
      "| threads a rank | img/s | slowest rank | spread | by one thread | CPU µs an image | from storage, KiB an image "
      "|\n|--:|--:|--:|--:|--:|--:|--:|\n";
  for (const LoaderPoint& point : points) {
    const double storage = median(point.storage_bytes);
    text += "| " + std::to_string(point.threads) + " | " + decimal(point.rate(), 1) + " | " +
            decimal(median(point.slowest_rank), 1) + " | " + decimal(100 * point.spread(), 1) + "% | " +
            decimal(point.rate() / points.front().rate(), 2) + " | " + decimal(1e6 * median(point.cpu_seconds), 1) +
            " | " + (std::isnan(storage) ? "–" : decimal(storage / 1024, 1)) + " |\n";
  }
  return text;
}

}  // namespace

void bench_loader(const CommandLine& line, const Experiment& experiment, Communicator& host, Device& device,
                  const Datasets& data, int threads) {
  std::vector<LoaderPoint> points;
  for (const int count : thread_counts(threads, experiment.data.workers)) points.push_back({.threads = count});
  std::unique_ptr<LoaderBench> bench;
  run_on_all_ranks(host, [&] { bench = std::make_unique<LoaderBench>(experiment, line.repeat, host, device, data); });
  bench->measure(points);
  std::optional<double> bytes;
  run_on_all_ranks(host, [&] {
    if (host.rank() == 0) bytes = file_bytes(experiment.data);
  });
  if (host.rank() != 0) return;
  const Shape sample = data.train->sample();
  const ResolvedBatch& batch = bench->batch();
  if (line.json) {
    const nlohmann::json result{{"points", to_json(points)},
                                {"file_bytes_per_image", bytes ? nlohmann::json(*bytes) : nlohmann::json()},
                                {"sample", {sample.h, sample.w, sample.c}},
                                {"samples", data.train->size()},
                                {"global_batch", batch.global},
                                {"micro_batch", batch.micro},
                                {"prefetch", experiment.data.prefetch},
                                {"ranks", host.size()},
                                {"device", device.name()}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf("%s: %lld samples of [%d,%d,%d]", experiment.experiment.name.c_str(),
              static_cast<long long>(data.train->size()), sample.h, sample.w, sample.c);
  if (bytes) std::printf(", files of %.1f KiB (mean)", *bytes / 1024);
  std::printf("; micro-batches of %d on %d rank(s); %s\n", batch.micro, host.size(), device.name().c_str());
  std::printf(
      "Median of %d rounds of %d steps and %.1f s at least, in which all rows take turns; img/s of all ranks.\n\n%s",
      kLoaderRounds, line.repeat, kLeastSeconds, to_markdown(points).c_str());
}

}  // namespace convoy
