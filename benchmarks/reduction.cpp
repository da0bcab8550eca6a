// How long an all-reduce takes on the CPU: each of our transports and plain MPI_Allreduce, in turn, in one run.
//
//   mpirun -np 2 convoy_bench_reduction [REPETITIONS]
//
// Prints a Markdown table.  Before each reduction a rank writes its tensor, as a backward pass would; the time is that
// of the slowest rank from a barrier on.  On a machine that others use too the best time says more than the median.
// A wrong sum ends the run.
#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dist/mpi.h"

namespace convoy {
namespace {

constexpr int64_t kKiB = 1024, kMiB = 1024 * kKiB;

struct Size {
  const char* name;
  int64_t bytes;
};
// 25 MiB is a bucket, 102 MiB are the gradients of ResNet-50, 4.8 those of a small ResNet.
constexpr std::array<Size, 5> kSizes = {{{"64 KiB", 64 * kKiB},
                                         {"1 MiB", kMiB},
                                         {"4.8 MiB", 48 * kMiB / 10 / 64 * 64},
                                         {"25 MiB", 25 * kMiB},
                                         {"102 MiB", 102 * kMiB}}};

// One way to sum; its tensor is the start of a buffer that fits the largest size.
class Way {
 public:
  Way(std::string name, MpiSession& session, const MpiOptions& options)
      : name_(std::move(name)), communicator_(make_mpi_communicator(session, options)) {
    buffer_ = Buffer(communicator_->allocator(), kSizes.back().bytes);
  }
  virtual ~Way() = default;

  const std::string& name() const { return name_; }
  std::string transport() const { return communicator_->name(); }

  // Seconds that this rank took.
  double time(int64_t bytes) {
    const Tensor tensor{buffer_.data(), {{1, 1, 1, static_cast<int>(bytes / 4)}}};
    auto* begin = tensor.as<float>();
    auto* end = begin + tensor.type.shape.elements();
    std::fill(begin, end, static_cast<float>(communicator_->rank() + 1));
    communicator_->barrier();
    const auto start = std::chrono::steady_clock::now();
    reduce(tensor);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const int sum = communicator_->size() * (communicator_->size() + 1) / 2;
    CHECK(std::all_of(begin, end, [sum](float value) { return value == static_cast<float>(sum); }), "the sum is wrong");
    return seconds;
  }

 protected:
  virtual void reduce(const Tensor& tensor) {
    communicator_->all_reduce_sum(tensor);
    communicator_->stream().synchronize();
  }

 private:
  std::string name_;
  std::unique_ptr<Communicator> communicator_;
  Buffer buffer_;
};

class PlainMpi : public Way {
 public:
  explicit PlainMpi(MpiSession& session)
      : Way("MPI_Allreduce", session, {.transport = MpiTransport::kProgressThread}) {}

 private:
  void reduce(const Tensor& tensor) override {
    MPI_Allreduce(MPI_IN_PLACE, tensor.data, tensor.type.shape.c, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  }
};

double slowest(double seconds) {
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return seconds;
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<int64_t>(values.size() / 2));
  return values[values.size() / 2];
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[32] = "";
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

void run(int repetitions) {
  MpiSession session;
  // Room for what the window itself needs; tensors are copied through it.
  const int64_t small = session.size() * 3 * kMiB / 2;
  std::vector<std::unique_ptr<Way>> ways;
  ways.push_back(std::make_unique<Way>("shared window", session, MpiOptions{}));
  ways.push_back(std::make_unique<Way>("copied through the window", session, MpiOptions{.shared_bytes = small}));
  ways.push_back(
      std::make_unique<Way>("progress thread", session, MpiOptions{.transport = MpiTransport::kProgressThread}));
  ways.push_back(std::make_unique<PlainMpi>(session));

  const bool speaks = session.rank() == 0;
  if (speaks) {
    std::printf("%s, %d ranks on %d host(s), %s; %d repetitions.\n\n", today().c_str(), session.size(), session.hosts(),
                session.library().c_str(), repetitions);
    std::printf(
        "| f32 | sum by | median ms | best ms | GB/s on the bus | times as fast as MPI_Allreduce |\n"
        "|---|---|--:|--:|--:|--:|\n");
  }
  for (const Size& size : kSizes) {
    std::vector<std::vector<double>> seconds(ways.size());
    for (int i = -1; i < repetitions; ++i) {  // the first warms up
      for (size_t w = 0; w < ways.size(); ++w) {
        const double time = slowest(ways[w]->time(size.bytes));
        if (i >= 0) seconds[w].push_back(time);
      }
    }
    const double plain = median(seconds.back());
    for (size_t w = 0; w < ways.size() && speaks; ++w) {
      const double time = median(seconds[w]);
      const double on_bus = 2.0 * (session.size() - 1) / session.size() * static_cast<double>(size.bytes);
      std::printf("| %s | %s | %.3f | %.3f | %.1f | %.2f |\n", size.name, ways[w]->name().c_str(), 1e3 * time,
                  1e3 * std::ranges::min(seconds[w]), 1e-9 * on_bus / time, plain / time);
    }
  }
  for (size_t w = 0; w + 1 < ways.size() && speaks; ++w) {
    std::printf("%s%s: %s\n", w == 0 ? "\n" : "", ways[w]->name().c_str(), ways[w]->transport().c_str());
  }
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  try {
    convoy::run(argc > 1 ? std::max(std::atoi(argv[1]), 1) : 21);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "convoy_bench_reduction: %s\n", error.what());
    return 1;
  }
}
