// That there is a GPU at all, and what it is.
#include "core/train/flat_ops.h"
#include "launcher/stopwatch.h"
#include "tests/gpu/gpu_test.h"

namespace convoy {
namespace {

class GpuDeviceTest : public GpuTest {};

TEST_F(GpuDeviceTest, RunsAKernelAndCopiesItsResult) {
  const std::unique_ptr<Device> device = library_.make_device(0);
  figure("device", device->name());
  figure("devices", devices_);
  figure("libraries", library_.versions());

  constexpr int kElements = 100'003;
  const std::unique_ptr<FlatOps> ops = make_cuda_flat_ops(library_);
  std::vector<float> numbers(kElements), sums(kElements);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  const Buffer a(device->allocator(), kElements * 4), b(device->allocator(), kElements * 4);
  for (const Buffer* to : {&a, &b}) device->copy(to->data(), numbers.data(), a.bytes(), device->compute());
  ops->add(a.as<float>(), b.as<float>(), kElements, device->compute());
  device->copy(sums.data(), a.data(), a.bytes(), device->compute());
  device->compute().synchronize();
  for (size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(sums[i], 2 * numbers[i]) << i;
}

// By which communication is timed: it goes on inside captured work, too.
TEST_F(GpuDeviceTest, ItsClockSaysHowLongWorkTakes) {
  const std::unique_ptr<Device> device = library_.make_device(0);
  const std::unique_ptr<FlatOps> ops = make_cuda_flat_ops(library_);
  const int64_t elements = small() ? 100'000 : 100'000'000;
  const Buffer a(device->allocator(), elements * 4), b(device->allocator(), elements * 4);
  const Buffer total(device->allocator(), sizeof(int64_t));
  const auto body = [&] {
    ops->add_clock(total.as<int64_t>(), -1, device->compute());
    ops->add(a.as<float>(), b.as<float>(), elements, device->compute());
    ops->add_clock(total.as<int64_t>(), +1, device->compute());
  };
  const auto read = [&] {
    int64_t nanoseconds = 0;
    device->copy(&nanoseconds, total.data(), sizeof nanoseconds, device->compute());
    device->compute().synchronize();
    return 1e-9 * static_cast<double>(nanoseconds);
  };
  const Stopwatch watch;
  body();
  const double once = read();
  EXPECT_GT(once, 0);
  EXPECT_LE(once, watch.seconds());
  const std::unique_ptr<CapturedWork> captured = device->capture(body);
  captured->launch(device->compute());
  const double before = read();
  constexpr int kReplays = 100;
  const Stopwatch replays;
  for (int i = 0; i < kReplays; ++i) captured->launch(device->compute());
  const double replayed = read() - before;
  EXPECT_LE(replayed, replays.seconds());
  figure("clock_replayed_over_host", replayed / replays.seconds());
  EXPECT_GE(replayed, (small() ? 0.0 : 0.5) * replays.seconds());  // little is between them
}

}  // namespace
}  // namespace convoy
