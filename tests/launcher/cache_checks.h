// What a data set in the memory of any device is held to: the batches of a Loader that reads, augments and mixes on
// the host, to the bit.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/data/loader.h"
#include "core/data/synthetic.h"
#include "launcher/device_cache.h"

namespace convoy {

struct CacheCase {
  Shape sample{1, 9, 7, 3};
  AugmentOptions augment;
  MixOptions mix;
};

// Two epochs, of which the last micro-batches are not full.
inline void expect_cached_as_read(const CacheCase& it, Backend& backend) {
  constexpr uint64_t kSeed = 5;
  constexpr int kRows = 8;
  const SyntheticDataset::Options options{.size = 61, .sample = it.sample};
  const SyntheticDataset plain(options);
  const AugmentedDataset augmented(std::make_unique<SyntheticDataset>(options), it.augment, kSeed);
  const Sampler sampler(
      {.size = 61, .global_batch = 3 * kRows, .micro_batch = kRows, .seed = 1, .last = Sampler::Last::kPad});
  Device& device = *backend.device;
  DeviceCache cache(plain, kRows, backend, it.augment, kSeed);
  const Buffer pixels(device.allocator(), kRows * it.sample.elements());
  const Buffer targets(device.allocator(), kRows * int64_t{sizeof(Target)});
  Loader loader(augmented, sampler, device.host_allocator(), {.threads = 2, .end_epoch = 2, .mix = it.mix});
  while (!loader.finished()) {
    const Batch& batch = loader.next();
    cache.gather(batch.ids, batch.epoch, it.mix, pixels.data(), targets.data());
    std::vector<uint8_t> found_pixels(static_cast<size_t>(batch.valid * it.sample.elements()));
    std::vector<Target> found_targets(static_cast<size_t>(batch.valid));
    device.copy(found_pixels.data(), pixels.data(), static_cast<int64_t>(found_pixels.size()), device.compute());
    device.copy(found_targets.data(), targets.data(), batch.valid * int64_t{sizeof(Target)}, device.compute());
    device.compute().synchronize();
    ASSERT_TRUE(std::ranges::equal(found_pixels, batch.pixels.first(found_pixels.size())))
        << "epoch " << batch.epoch << ", step " << batch.step << ", micro-batch " << batch.index;
    ASSERT_TRUE(std::ranges::equal(found_targets, batch.targets.first(found_targets.size())));
  }
}

inline void expect_cached_as_read(Backend& backend) {
  const MixOptions mixup{.mixup_alpha = 0.4}, cutmix{.cutmix_alpha = 1},
      both{.mixup_alpha = 1, .cutmix_alpha = 1, .probability = 0.8, .seed = 3};
  for (const Shape& sample : {Shape{1, 9, 7, 3}, Shape{1, 28, 28, 1}, Shape{1, 32, 32, 3}}) {
    for (const MixOptions& mix : {MixOptions{}, mixup, cutmix, both}) {
      SCOPED_TRACE(to_string(sample) + (mix.any() ? ", mixed" : ""));
      expect_cached_as_read({sample, {}, mix}, backend);
      expect_cached_as_read({sample, {.cheap = {.flip = 0.5}}, mix}, backend);
      expect_cached_as_read({sample, {.cheap = {.pad_crop = 4, .erase = 0.5}, .fill = 77}, mix}, backend);
      expect_cached_as_read({sample, {.cheap = {.flip = 0.5, .pad_crop = 2, .cutout = 5}}, mix}, backend);
    }
  }
}

}  // namespace convoy
