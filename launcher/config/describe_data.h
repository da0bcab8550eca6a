// The keys of `data`; see describe.h.
#pragma once

#include <string_view>

#include "launcher/config/experiment.h"
#include "launcher/config/key.h"
#include "launcher/config/names.h"

namespace convoy {

template <class Visitor>
void describe(Visitor& v, SampleFiles& c) {
  v.place(c.where);
  v.key(c.images, {.name = "images", .doc = "IDX, plain or gzip, or NPY", .required = true, .is_path = true});
  v.key(c.labels, {.name = "labels", .doc = "IDX, plain or gzip, or NPY", .required = true, .is_path = true});
}

template <class Visitor>
void describe(Visitor& v, CropConfig& c) {
  v.place(c.where);
  v.key(c.type, {.name = "type", .doc = "of training: a random part, the middle, or all of the image, squeezed"});
  const bool random = c.type == CropType::kRandomResized, stretch = c.type == CropType::kStretch;
  v.key(c.scale, {.name = "scale",
                  .doc = "[least, most] share of the area",
                  .range = above_up_to(0, 1),
                  .only_for = "type: random_resized",
                  .applies = random});
  v.key(c.ratio, {.name = "ratio",
                  .doc = "[least, most] width by height",
                  .range = between(0.01, 100),
                  .only_for = "type: random_resized",
                  .applies = random});
  v.key(c.central, {.name = "central",
                    .doc = "in evaluation, and for centre: share of the shorter side that is kept",
                    .range = between(0.01, 1),
                    .only_for = "type: random_resized or centre",
                    .applies = !stretch});
}

template <class Visitor>
void describe(Visitor& v, AugmentConfig& c) {
  v.place(c.where);
  const Range share = between(0, 1);
  v.key(c.flip, {.name = "flip", .doc = "probability, left to right", .range = share});
  v.key(c.pad_crop, {.name = "pad_crop", .doc = "pixels that an image is shifted at most", .range = between(0, 4096)});
  v.key(c.brightness, {.name = "brightness", .doc = "strength of colour jitter", .range = between(0, 10)});
  v.key(c.contrast, {.name = "contrast", .doc = "strength of colour jitter", .range = between(0, 10)});
  v.key(c.saturation, {.name = "saturation", .doc = "strength of colour jitter", .range = between(0, 10)});
  v.key(c.hue, {.name = "hue", .doc = "strength of colour jitter, in turns", .range = between(0, 0.5)});
  v.key(c.rotation, {.name = "rotation", .doc = "degrees at most, either way", .range = between(0, 180)});
  v.key(c.policy, {.name = "policy", .doc = "operations drawn from a list, as published"});
  const bool counts = c.policy == AugmentPolicy::kRandAugment;
  v.key(c.operations, {.name = "operations",
                       .doc = "of each image",
                       .range = between(1, 14),
                       .only_for = "policy: randaugment",
                       .applies = counts});
  v.key(c.magnitude, {.name = "magnitude",
                      .doc = "of 30",
                      .range = between(0, 30),
                      .only_for = "policy: randaugment",
                      .applies = counts});
  v.key(c.erasing, {.name = "erasing", .doc = "probability that a rectangle is erased", .range = share});
  v.key(c.cutout, {.name = "cutout", .doc = "side of a square that is erased, in pixels", .range = between(0, 65536)});
}

template <class Visitor>
void describe(Visitor& v, MixConfig& c) {
  v.key(c.mixup, {.name = "mixup", .doc = "alpha of Beta(alpha, alpha), 0: off", .range = between(0, 100)});
  v.key(c.cutmix, {.name = "cutmix", .doc = "alpha of Beta(alpha, alpha), 0: off", .range = between(0, 100)});
  v.key(c.probability, {.name = "probability", .doc = "that a row is mixed", .range = between(0, 1)});
}

template <class Visitor>
void describe(Visitor& v, DataConfig& c) {
  v.place(c.where);
  v.key(c.format, {.name = "format", .doc = "what the samples are read from", .required = true});
  const auto is = [&](auto... formats) { return ((c.format == formats) || ...); };
  using enum DataFormat;
  const Key files{.only_for = "format: idx or npy", .applies = is(kIdx, kNpy)};
  const Key named{.only_for = "format: npz, cifar or images", .applies = is(kNpz, kCifar, kImages)};
  const Key images{.only_for = "format: images", .applies = is(kImages)};
  const Key made{.only_for = "format: synthetic", .applies = is(kSynthetic)};
  const auto key = [&](const Key& where, std::string_view name, std::string_view doc, bool required,
                       const Range& range = between(1, 1 << 30)) {
    return Key{.name = name,
               .doc = doc,
               .required = required,
               .range = range,
               .only_for = where.only_for,
               .applies = where.applies};
  };
  v.key(c.classes,
        {.name = "classes", .doc = "labels are 0 ... classes-1", .required = true, .range = between(1, 1 << 24)});
  const Key arrays{.only_for = "format: idx, npy or npz", .applies = is(kIdx, kNpy, kNpz)};
  v.key(c.ignore_label,
        key(arrays, "ignore_label", "samples with this label are left out", false, at_least(-(1 << 30))));
  v.key(c.train, key(files, "train", "samples to train on", true));
  v.key(c.test, key(files, "test", "samples to evaluate on", false));
  Key path = key(named, "path", "a file or a directory, told by what is there", true);
  path.is_path = true;
  v.key(c.path, path);
  v.key(c.test_path, {.name = "test_path",
                      .doc = "samples to evaluate on; default: val or test in path",
                      .is_path = true,
                      .only_for = images.only_for,
                      .applies = images.applies});
  v.key(c.validation,
        key(images, "validation", "share of path that is evaluated, not trained on", false, from_below(0, 1)));
  v.key(c.shape,
        {.name = "shape",
         .doc = "[height, width, channels]; smaller samples of files get zeros around them, grey becomes colour",
         .required = is(kSynthetic, kImages),
         .range = between(1, 1 << 16)});
  v.key(c.train_size, key(made, "train_size", "samples to train on", false));
  v.key(c.test_size, key(made, "test_size", "samples to evaluate on", false));
  v.key(c.mean, {.name = "mean", .doc = "subtracted from pixels in [0,1]; one, or one per channel"});
  v.key(c.std, {.name = "std", .doc = "divides after mean; one, or one per channel", .range = above(0)});
  v.key(c.channel_order, {.name = "channel_order", .doc = "in which the network sees pixels of 3 channels"});
  v.key(c.last, {.name = "last", .doc = "what happens to a short last global batch of an epoch"});
  v.key(c.cache, {.name = "cache", .doc = "ram, device: where decoded samples are kept"});
  v.key(c.crop, key(images, "crop", "how an image of any size becomes one of shape", false));
  v.key(c.augment, {.name = "augment", .doc = "changes training samples at random"});
  v.key(c.mix, {.name = "mix", .doc = "makes one training sample of two"});
  v.key(c.sharding, {.name = "sharding", .doc = "local: each host has training samples of its own"});
  v.key(c.on_error, {.name = "on_error", .doc = "what a sample that cannot be read does"});
  v.key(c.max_bad, {.name = "max_bad",
                    .doc = "share of bad samples above which the run stops",
                    .range = between(0, 1),
                    .only_for = "on_error: skip",
                    .applies = c.on_error == OnError::kSkip});
  v.key(c.workers,
        {.name = "workers", .doc = "loader threads per rank; 0: as many as needed", .range = between(0, 256)});
  v.key(c.prefetch, {.name = "prefetch", .doc = "batches ready ahead", .range = between(1, 256)});
  v.key(c.train_limit,
        {.name = "train_limit", .doc = "use only n samples, the first, or of images any", .range = at_least(1)});
  v.key(c.test_limit, {.name = "test_limit", .doc = "use only the first n samples", .range = at_least(1)});
}

}  // namespace convoy
