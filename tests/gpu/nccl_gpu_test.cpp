// Sums by NCCL: one rank, which every machine can run, and as many ranks as there are GPUs, as threads.
#include "core/train/flat_ops.h"
#include "dist/exchange_clock.h"
#include "dist/nccl.h"
#include "launcher/stopwatch.h"
#include "tests/dist/collective_checks.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/stepper.h"

namespace convoy {
namespace {

class GpuNcclTest : public GpuTest {
 protected:
  // 2, 4, 8, … and all of them.
  std::vector<int> ranks() const {
    std::vector<int> result;
    for (int n = 2; n < devices_; n *= 2) result.push_back(n);
    if (devices_ > 1) result.push_back(devices_);
    if (small() && result.size() > 2) result.resize(2);
    return result;
  }
};

TEST_F(GpuNcclTest, OneRankAddsUpInsideCapturedWork) {
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  const std::unique_ptr<Device> device = library_.make_device(0);
  const std::unique_ptr<FlatOps> ops = make_cuda_flat_ops(library_);
  const std::unique_ptr<Communicator> nccl = make_nccl_communicator(library_, *host, *device, {});
  figure("communicator", nccl->name());
  check_everything(*nccl, *device);

  constexpr int kElements = 100'000, kReplays = 100;
  std::vector<float> numbers(kElements);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i % 1000);
  const Buffer sum(nccl->allocator(), kElements * 4), term(device->allocator(), kElements * 4);
  const ExchangeClock clock(*device, *ops, 0);
  device->copy(term.data(), numbers.data(), term.bytes(), device->compute());
  const auto body = [&] {
    ops->add(sum.as<float>(), term.as<float>(), kElements, device->compute());
    nccl->stream().wait_for(device->compute());
    clock.add(&ExchangeClock::Times::busy, kNoBucket, nccl->stream(), [&] {
      nccl->all_reduce_sum({sum.data(), {{1, 1, 1, kElements}}});
    });
    device->compute().wait_for(nccl->stream());
  };
  body();  // sets up what cannot be captured
  device->compute().synchronize();
  const std::unique_ptr<CapturedWork> work = device->capture(body);
  const Stopwatch watch;
  clock.clear(device->compute());
  for (int i = 0; i < kReplays; ++i) work->launch(device->compute());
  std::vector<float> found(kElements);
  ExchangeClock::Times times;
  device->copy(&times, clock.times().data(), sizeof times, device->compute());
  device->copy(found.data(), sum.data(), sum.bytes(), device->compute());
  device->compute().synchronize();
  for (size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i], (kReplays + 1) * numbers[i]) << i;
  const double busy = 1e-9 * static_cast<double>(times.busy);
  figure("microseconds_of_a_sum", 1e6 * busy / kReplays);
  EXPECT_GT(busy, 0);
  EXPECT_LE(busy, watch.seconds());
}

TEST_F(GpuNcclTest, GradientsInItsMemoryAreTheSame) {
  const Experiment experiment = load(kRunExperiment, {"device=cuda", "batch={global: 8, micro: 8}"});
  Stepper usual(experiment);
  Stepper with_nccl(experiment, [](Backend& backend, Communicator& host) {
    backend.own_communicator = make_nccl_communicator(*backend.library, host, *backend.device, {});
    backend.communicator = backend.own_communicator.get();
  });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(with_nccl.step(), usual.step());
  EXPECT_EQ(with_nccl.values(), usual.values());
}

TEST_F(GpuNcclTest, RanksAddUpExactly) {
  if (devices_ == 1) GTEST_SKIP() << "needs several GPUs";
  for (const int n : ranks()) {
    run_thread_group(n, [&](Communicator& host) {
      const std::unique_ptr<Device> device = library_.make_device(host.rank());
      const std::unique_ptr<Communicator> nccl = make_nccl_communicator(library_, host, *device, {});
      if (small()) {  // streams of the fake stand still while their host waits for another host
        check_all_reduce(*nccl, *device);
      } else {
        check_everything(*nccl, *device);
      }
      // Memory of a real gradient's size, so that the name says whether windows are used.
      const Buffer gradients(nccl->allocator(), 1 << 20);
      if (host.rank() == 0) figure("communicator", nccl->name());
    });
  }
}

TEST_F(GpuNcclTest, ResultDoesNotDependOnTheNumberOfRanks) {
  if (devices_ == 1) GTEST_SKIP() << "needs several GPUs";
  const std::vector<std::string> batch = {"batch={global: 64, micro: 4}"};
  const Outcome alone = train_cuda(1, batch);
  for (const int n : ranks()) {
    if (n > 16) continue;  // micro-batches
    const Stopwatch watch;
    const Outcome several = train_cuda(n, {batch[0], "train.log_every_steps=1"});
    EXPECT_EQ(logged_communication("runs/run/log.jsonl", watch.seconds()).size(), 5U);
    const double apart = worst_distance(several.by_rank[0], alone.by_rank[0]);
    figure("weights_apart", apart);
    EXPECT_LE(apart, 1e-4) << n;
    for (const Tensors& replica : several.by_rank) EXPECT_EQ(replica, several.by_rank[0]) << n;
  }
}

}  // namespace
}  // namespace convoy
