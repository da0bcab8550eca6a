#include "launcher/device_cache.h"

#include <algorithm>
#include <vector>

namespace convoy {
namespace {

constexpr int64_t kTargetBytes = sizeof(Target);

}  // namespace

DeviceCache::DeviceCache(const Dataset& dataset, int rows, Backend& backend)
    : rows_(rows),
      sample_bytes_(dataset.sample().elements()),
      device_(*backend.device),
      ops_(*backend.ops),
      pixels_(device_.allocator(), dataset.size() * sample_bytes_),
      targets_(device_.allocator(), dataset.size() * kTargetBytes),
      ids_(device_, rows * static_cast<int64_t>(sizeof(int64_t))) {
  read(dataset);
}

void DeviceCache::read(const Dataset& dataset) {
  const int64_t chunk = std::max<int64_t>(1, (int64_t{16} << 20) / sample_bytes_);  // samples of one copy
  const Buffer pixels(device_.host_allocator(), std::min(chunk, dataset.size()) * sample_bytes_);
  const Buffer targets(device_.host_allocator(), std::min(chunk, dataset.size()) * kTargetBytes);
  for (int64_t first = 0; first < dataset.size(); first += chunk) {
    const int64_t count = std::min(chunk, dataset.size() - first);
    for (int64_t i = 0; i < count; ++i) {
      targets.as<Target>()[i] = Target::of(dataset.read(first + i, 0, pixels.as<uint8_t>() + i * sample_bytes_));
    }
    device_.copy(pixels_.as<uint8_t>() + first * sample_bytes_, pixels.data(), count * sample_bytes_,
                 device_.compute());
    device_.copy(targets_.as<Target>() + first, targets.data(), count * kTargetBytes, device_.compute());
    device_.compute().synchronize();
  }
}

void DeviceCache::gather(std::span<const int64_t> ids, void* pixels, void* targets) {
  CHECK(ids.size() <= static_cast<size_t>(rows_));
  std::vector<int64_t> padded(static_cast<size_t>(rows_), 0);
  std::ranges::copy(ids, padded.begin());
  ids_.send(padded.data());
  const auto* rows = static_cast<const int64_t*>(ids_.data());
  ops_.gather_rows(pixels, pixels_.data(), rows, rows_, sample_bytes_, device_.compute());
  ops_.gather_rows(targets, targets_.data(), rows, rows_, kTargetBytes, device_.compute());
}

}  // namespace convoy
