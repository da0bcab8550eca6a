#include "launcher/datasets.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/data/cifar.h"
#include "core/data/first_samples.h"
#include "core/data/idx.h"
#include "core/data/image_dataset.h"
#include "core/data/npz.h"
#include "core/data/padded_samples.h"
#include "core/data/ram_cache.h"
#include "core/data/skip_bad.h"
#include "core/data/store_subset.h"
#include "core/data/synthetic.h"
#include "launcher/fetch.h"

namespace convoy {
namespace {

using OpenFiles = std::unique_ptr<Dataset> (*)(const std::string& images, const std::string& labels, int classes,
                                               std::optional<int> ignored);

std::unique_ptr<Dataset> open(OpenFiles open_files, const std::optional<SampleFiles>& files, const DataConfig& data) {
  if (!files) return nullptr;
  return open_files(files->images, files->labels, data.classes, data.ignore_label);
}

Datasets open_synthetic(const DataConfig& data, uint64_t seed, const std::vector<Shape>& more_shapes) {
  const auto make = [&](const Shape& sample, int64_t size, int64_t offset) {
    return std::make_unique<SyntheticDataset>(SyntheticDataset::Options{
        .size = size, .sample = sample, .classes = data.classes, .seed = seed, .offset = offset});
  };
  const Shape sample = sample_shape(data);
  Datasets sets{make(sample, data.train_size, 0), make(sample, data.test_size, data.train_size)};
  for (const Shape& shape : more_shapes) sets.resized.push_back(make(shape, data.train_size, 0));
  return sets;
}

// Labels mean the same in both.  Where they are numbers, the largest may be missing in one.
bool same_classes(const ImageStore& one, const ImageStore& other) {
  const std::vector<std::string>&names = one.class_names(), &others = other.class_names();
  return names == others || (are_numbers(names) && are_numbers(others));
}

// What is trained on and what is evaluated.
ImageSplits open_splits(const DataConfig& data) {
  ImageSplits splits = open_image_splits(data.path);
  if (data.test_path) {
    splits.validation = open_image_store(*data.test_path);
  } else if (data.validation > 0) {
    if (splits.validation != nullptr) {
      config_error(data.where, "data.validation", data.path + " has images for validation of its own");
    }
    splits = split_by_name(splits.train, data.validation);
  }
  if (splits.validation != nullptr && !same_classes(*splits.train, *splits.validation)) {
    throw Error(ExitCode::kBadData, data.test_path.value_or(data.path) + ": expected the classes of the images to " +
                                        "train on, in the same order; found others");
  }
  return splits;
}

ImageCrop training_crop(const CropConfig& config) {
  ImageCrop crop;
  switch (config.type) {
    case CropType::kRandomResized: crop.type = ImageCrop::Type::kRandomResized; break;
    case CropType::kCentre: crop.type = ImageCrop::Type::kCentre; break;
    case CropType::kStretch: crop.type = ImageCrop::Type::kStretch; break;
  }
  crop.random = {config.scale[0], config.scale[1], config.ratio[0], config.ratio[1]};
  crop.central = config.central;
  return crop;
}

Datasets open_images(const DataConfig& data, uint64_t seed, const std::vector<Shape>& more_shapes) {
  const Shape sample = sample_shape(data);
  ImageSplits splits = open_splits(data);
  const ImageCrop crop = training_crop(data.crop);
  ImageCrop fixed = crop;
  if (crop.type == ImageCrop::Type::kRandomResized) fixed.type = ImageCrop::Type::kCentre;
  const auto make = [&](const std::shared_ptr<const ImageStore>& store, const Shape& shape,
                        const ImageCrop& how) -> std::unique_ptr<Dataset> {
    if (store == nullptr) return nullptr;
    return std::make_unique<ImageDataset>(store, shape, data.classes, how, seed);
  };
  std::vector<std::string> names = splits.train->class_names();
  const auto found = static_cast<int>(names.size());
  if (found > data.classes || (found < data.classes && !are_numbers(names))) {
    config_error(data.where, "data.classes",
                 "expected the " + std::to_string(found) + " classes of " + data.path + ", found " +
                     std::to_string(data.classes));
  }
  Datasets sets{make(splits.train, sample, crop), make(splits.validation, sample, fixed)};
  for (const Shape& shape : more_shapes) sets.resized.push_back(make(splits.train, shape, crop));
  sets.class_names = std::move(names);
  return sets;
}

Datasets open_any(const DataConfig& data, uint64_t seed, const std::vector<Shape>& more_shapes) {
  switch (data.format) {
    case DataFormat::kIdx: return {open(open_idx_files, data.train, data), open(open_idx_files, data.test, data)};
    case DataFormat::kNpy: return {open(open_npy, data.train, data), open(open_npy, data.test, data)};
    case DataFormat::kNpz:
      return {open_npz(data.path, Split::kTrain, data.classes, data.ignore_label),
              open_npz(data.path, Split::kTest, data.classes, data.ignore_label)};
    case DataFormat::kCifar:
      return {open_cifar(data.path, Split::kTrain, data.classes), open_cifar(data.path, Split::kTest, data.classes)};
    case DataFormat::kImages: return open_images(data, seed, more_shapes);
    case DataFormat::kSynthetic: return open_synthetic(data, seed, more_shapes);
  }
  return {};
}

Datasets open_files(const DataConfig& data, uint64_t seed, const std::vector<Shape>& more_shapes) {
  try {
    return open_any(data, seed, more_shapes);
  } catch (const Error& error) {
    throw with_fetch_advice(error, data.train ? data.train->images : data.path);
  }
}

// In the shape that the experiment asks for.
std::unique_ptr<Dataset> shaped(std::unique_ptr<Dataset> all, const DataConfig& data) {
  if (all == nullptr || !data.shape || all->sample() == sample_shape(data)) return all;
  try {
    return std::make_unique<PaddedSamples>(std::move(all), sample_shape(data));
  } catch (const Error& error) {
    config_error(data.where, "data.shape", error.what());
  }
}

// Images come class by class: the first n of them would be of one class.
std::unique_ptr<Dataset> limited(std::unique_ptr<Dataset> all, const std::optional<int>& limit, DataFormat format) {
  if (!limit || *limit >= all->size()) return all;
  return std::make_unique<FirstSamples>(std::move(all), *limit, format == DataFormat::kImages);
}

// All that is done to samples as they are read, but for augmentation.
std::unique_ptr<Dataset> guarded(std::unique_ptr<Dataset> all, const std::optional<int>& limit, const DataConfig& data,
                                 SkipBad::Report report, std::shared_ptr<SkipBad::Known> known) {
  if (all == nullptr) return nullptr;
  all = limited(std::move(all), limit, data.format);
  if (data.on_error == OnError::kSkip) {
    const auto share = static_cast<int64_t>(data.max_bad * static_cast<double>(all->size()));
    const int64_t most = data.max_bad > 0 ? std::max<int64_t>(share, 1) : 0;
    all = std::make_unique<SkipBad>(std::move(all), most, std::move(report), std::move(known));
  }
  if (data.cache == DataCache::kRam) all = std::make_unique<RamCache>(std::move(all));
  return all;
}

std::unique_ptr<Dataset> augmented(std::unique_ptr<Dataset> all, const DataConfig& data, uint64_t seed) {
  const AugmentOptions options = augment_options(data.augment);
  const bool here = options.costly() || (options.cheap.any() && data.cache != DataCache::kDevice);
  if (!here) return all;
  return std::make_unique<AugmentedDataset>(std::move(all), options, seed);
}

// Of files that hold nothing but samples.
ImagesHeader read_header(const DataConfig& data) {
  switch (data.format) {
    case DataFormat::kIdx: return read_images_header(data.train.value().images);
    case DataFormat::kNpy: return read_npy_header(data.train.value().images);
    case DataFormat::kNpz: return read_npz_header(data.path, Split::kTrain);
    case DataFormat::kCifar: return read_cifar_header(data.path, Split::kTrain, data.classes);
    default: return {};
  }
}

}  // namespace

bool are_numbers(const std::vector<std::string>& class_names) {
  for (size_t label = 0; label < class_names.size(); ++label) {
    if (class_names[label] != std::to_string(label)) return false;
  }
  return true;
}

Datasets open_datasets(const DataConfig& data, uint64_t seed, BadSamples& bad_samples,
                       const std::vector<Shape>& more_shapes) {
  Datasets sets = open_files(data, seed, more_shapes);
  if (sets.test != nullptr && sets.test->sample() != sets.train->sample()) {
    throw Error(ExitCode::kBadData, "training images are " + to_string(sets.train->sample()) + ", test images " +
                                        to_string(sets.test->sample()));
  }
  while (static_cast<int>(sets.class_names.size()) < data.classes) {
    sets.class_names.push_back(std::to_string(sets.class_names.size()));
  }
  sets.train = shaped(std::move(sets.train), data);
  sets.test = shaped(std::move(sets.test), data);
  const auto known = std::make_shared<SkipBad::Known>();
  const auto for_training = [&](std::unique_ptr<Dataset> all) {
    all = guarded(std::move(all), data.train_limit, data, bad_samples.reporter(Split::kTrain), known);
    return augmented(std::move(all), data, seed);
  };
  sets.train = for_training(std::move(sets.train));
  for (std::unique_ptr<Dataset>& resized : sets.resized) resized = for_training(std::move(resized));
  sets.test = guarded(std::move(sets.test), data.test_limit, data, bad_samples.reporter(Split::kTest),
                      std::make_shared<SkipBad::Known>());
  sets.fingerprint = sets.train->fingerprint();
  return sets;
}

AugmentOptions augment_options(const AugmentConfig& config) {
  return {.cheap = {.flip = config.flip, .pad_crop = config.pad_crop, .cutout = config.cutout, .erase = config.erasing},
          .brightness = config.brightness,
          .contrast = config.contrast,
          .saturation = config.saturation,
          .hue = config.hue,
          .rotate = config.rotation,
          .policy = config.policy,
          .policy_ops = config.operations,
          .policy_magnitude = config.magnitude};
}

MixOptions mix_options(const MixConfig& config, uint64_t seed) {
  return {.mixup_alpha = config.mixup, .cutmix_alpha = config.cutmix, .probability = config.probability, .seed = seed};
}

Shape sample_shape(const DataConfig& data) {
  if (!data.shape) return read_header(data).sample;
  const auto [h, w, c] = *data.shape;
  return {1, h, w, c};
}

int64_t training_samples(const DataConfig& data) {
  int64_t all = data.train_size;
  if (data.format == DataFormat::kImages) {
    all = open_splits(data).train->size();
  } else if (data.format != DataFormat::kSynthetic) {
    all = read_header(data).size;
  }
  return data.train_limit ? std::min<int64_t>(all, *data.train_limit) : all;
}

}  // namespace convoy
