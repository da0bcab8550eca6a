#include "core/data/image_dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/base/rng.h"
#include "core/image/decoder.h"
#include "core/image/resize.h"

namespace convoy {
namespace {

// What a thread keeps from sample to sample, for all data sets of the process.
struct Worker {
  explicit Worker(int channels) : decoder(channels) {}

  // Requires: an open decoder.
  const Image& decode(const Box& part, ImageSize size) {
    const Rect whole = enclosing(part);
    const Box placed = decoder.decode(whole, size, decoded);
    const double across = (placed.right - placed.left) / whole.width,
                 down = (placed.bottom - placed.top) / whole.height;
    const Box box = {placed.left + (part.left - whole.x) * across, placed.top + (part.top - whole.y) * down,
                     placed.left + (part.right - whole.x) * across, placed.top + (part.bottom - whole.y) * down};
    resizer.resize(decoded, box, size, resized);
    return resized;
  }

  static Rect enclosing(const Box& box) {
    const int x = static_cast<int>(std::floor(box.left)), y = static_cast<int>(std::floor(box.top));
    return {x, y, static_cast<int>(std::ceil(box.right)) - x, static_cast<int>(std::ceil(box.bottom)) - y};
  }

  std::vector<std::byte> file;
  ImageDecoder decoder;
  Image decoded, resized;
  Resizer resizer;
};

Worker& worker(int channels) {
  thread_local Worker grey(1), rgb(3);
  return channels == 1 ? grey : rgb;
}

Box box_of(const Rect& rect) {
  const double left = rect.x, top = rect.y;
  return {left, top, left + rect.width, top + rect.height};
}

}  // namespace

ImageDataset::ImageDataset(std::shared_ptr<const ImageStore> store, const Shape& sample, int classes,
                           const ImageCrop& crop, uint64_t seed)
    : store_(std::move(store)),
      sample_(sample),
      classes_(classes),
      crop_(crop),
      key_(random_key(RandomUse::kAugment, seed)) {
  CHECK(sample.n == 1 && (sample.c == 1 || sample.c == 3), "ImageDataset: sample");
  const auto found = static_cast<int64_t>(store_->class_names().size());
  if (found > classes) {
    throw Error(ExitCode::kBadData, store_->name(0) + ": expected images of at most " + std::to_string(classes) +
                                        " classes (data.classes), found " + std::to_string(found));
  }
}

int ImageDataset::read(int64_t i, int64_t epoch, uint8_t* pixels) const {
  Worker& mine = worker(sample_.c);
  const ImageSize size = mine.decoder.open(store_->file(i, mine.file), store_->name(i));
  const Image& image = mine.decode(part(size, i, epoch), {sample_.w, sample_.h});
  std::memcpy(pixels, image.pixels.data(), image.pixels.size());
  return store_->label(i);
}

Box ImageDataset::part(ImageSize size, int64_t i, int64_t epoch) const {
  switch (crop_.type) {
    case ImageCrop::Type::kRandomResized: return box_of(random_resized_crop(size, crop_.random, key_, epoch, i));
    case ImageCrop::Type::kCentre: {
      const int resized = static_cast<int>(std::lround(std::max(sample_.w, sample_.h) / crop_.central));
      return centre_crop(size, resized, {sample_.w, sample_.h});
    }
    case ImageCrop::Type::kStretch: break;
  }
  return {0, 0, static_cast<double>(size.width), static_cast<double>(size.height)};
}

}  // namespace convoy
