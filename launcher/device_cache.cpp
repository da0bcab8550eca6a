#include "launcher/device_cache.h"

#include <algorithm>

#include <omp.h>

#include "core/base/in_order.h"

#include "core/base/rng.h"

namespace convoy {

DeviceCache::DeviceCache(const Dataset& dataset, int rows, Backend& backend, const AugmentOptions& augment,
                         uint64_t seed)
    : sample_(dataset.sample()),
      augment_(augment),
      key_(random_key(RandomUse::kAugment, seed)),
      device_(*backend.device),
      ops_(*backend.ops),
      pixels_(device_.allocator(), dataset.size() * sample_.elements()),
      labels_(static_cast<size_t>(dataset.size())),
      rows_(static_cast<size_t>(rows)),
      targets_(static_cast<size_t>(rows)),
      rows_upload_(device_, rows * int64_t{sizeof(ImageRow)}),
      targets_upload_(device_, rows * int64_t{sizeof(Target)}) {
  CHECK(!augment.costly(), "what the device cannot do itself");
  read(dataset);
}

void DeviceCache::read(const Dataset& dataset) {
  const int64_t bytes = sample_.elements();
  const int64_t chunk = std::max<int64_t>(1, (int64_t{16} << 20) / bytes);  // samples of one copy
  const Buffer pixels(device_.host_allocator(), std::min(chunk, dataset.size()) * bytes);
  for (int64_t first = 0; first < dataset.size(); first += chunk) {
    const int64_t count = std::min(chunk, dataset.size() - first);
    in_order(
        count, omp_get_max_threads(),
        [&](int64_t i, int) { return dataset.read(first + i, 0, pixels.as<uint8_t>() + i * bytes); },
        [&](int64_t i, int label) { labels_[static_cast<size_t>(first + i)] = label; });
    device_.copy(pixels_.as<uint8_t>() + first * bytes, pixels.data(), count * bytes, device_.compute());
    device_.compute().synchronize();
  }
}

CheapAugment DeviceCache::draw(int64_t id, int64_t epoch) const {
  return augment_.cheap.any() ? draw_cheap(augment_.cheap, sample_, key_, epoch, id) : CheapAugment{};
}

void DeviceCache::mix_row(size_t row, int64_t partner, int64_t epoch, const MixOptions& mix) {
  ImageRow& it = rows_[row];
  it.mix = draw_mix(mix, sample_, epoch, it.own);
  it.partner = partner;
  it.partner_augment = draw(partner, epoch);
  const Target of_partner = Target::of(labels_[static_cast<size_t>(partner)]);
  targets_[row] = mixed(targets_[row], of_partner, own_share(it.mix, sample_));
}

void DeviceCache::gather(std::span<const int64_t> ids, int64_t epoch, const MixOptions& mix, void* pixels,
                         void* targets) {
  CHECK(ids.size() <= rows_.size());
  std::ranges::fill(rows_, ImageRow{});
  std::ranges::fill(targets_, Target{});
  for (size_t row = 0; row < ids.size(); ++row) {
    rows_[row].own = ids[row];
    rows_[row].own_augment = draw(ids[row], epoch);
    targets_[row] = Target::of(labels_[static_cast<size_t>(ids[row])]);
  }
  if (mix.any() && ids.size() >= 2) {
    const auto distance = static_cast<size_t>(draw_partner_distance(mix, epoch, ids));
    for (size_t row = 0; row < ids.size(); ++row) mix_row(row, ids[(row + distance) % ids.size()], epoch, mix);
  }
  rows_upload_.send(rows_.data());
  targets_upload_.send(targets_.data());
  ops_.gather_images(static_cast<uint8_t*>(pixels), {pixels_.as<uint8_t>(), sample_, augment_.fill},
                     static_cast<const ImageRow*>(rows_upload_.data()), static_cast<int>(rows_.size()),
                     device_.compute());
  device_.copy(targets, targets_upload_.data(), static_cast<int64_t>(targets_.size() * sizeof(Target)),
               device_.compute());
}

}  // namespace convoy
