// That there is a GPU at all, and what it is.
#include "core/train/flat_ops.h"
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

}  // namespace
}  // namespace convoy
