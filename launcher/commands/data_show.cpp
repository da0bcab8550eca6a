// convoy data show: training samples as the network gets them, on one sheet.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/data/loader.h"
#include "core/image/contact_sheet.h"
#include "core/image/encoder.h"
#include "launcher/commands/commands.h"
#include "launcher/datasets.h"

namespace convoy {
namespace {

// Small images are enlarged by a whole number, so that a label fits below.
Image enlarged(const uint8_t* pixels, const Shape& shape) {
  constexpr int kReadable = 96;
  const int times = (kReadable + shape.w - 1) / shape.w, channels = shape.c;
  Image image;
  image.resize(shape.w * times, shape.h * times, channels);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const uint8_t* from = pixels + (int64_t{y / times} * shape.w + x / times) * channels;
      std::memcpy(image.row(y) + x * channels, from, static_cast<size_t>(channels));
    }
  }
  return image;
}

// "cat", or of a mixed image "cat 70% dog".
std::string label_of(const Target& target, const std::vector<std::string>& names) {
  const std::string &a = names[static_cast<size_t>(target.a)], &b = names[static_cast<size_t>(target.b)];
  if (target.share == 1) return a;
  return a + " " + std::to_string(std::lround(100 * target.share)) + "% " + b;
}

}  // namespace

int show_samples(const Experiment& experiment, int samples, const std::string& path) {
  require_replaceable(path);
  DataConfig data = experiment.data;
  data.cache = DataCache::kNone;  // that of the device augments by itself, with the same bits
  BadSamples bad_samples(Log(LogLevel::kInfo), 0);
  const Datasets sets = open_datasets(data, experiment.experiment.seed, bad_samples);
  const Dataset* const set = sets.train.get();
  const Shape shape = set->sample();
  if (shape.c != 1 && shape.c != 3) {
    throw Error(ExitCode::kConfig, "data show: expected 1 or 3 channels, found " + std::to_string(shape.c));
  }
  const int rows = static_cast<int>(std::min<int64_t>(samples, set->size()));
  const Sampler sampler(
      {.size = set->size(), .global_batch = rows, .micro_batch = rows, .seed = experiment.experiment.seed});
  const std::unique_ptr<Device> device = make_cpu_device(1);
  Loader loader(*set, sampler, device->host_allocator(),
                {.prefetch = 1, .mix = mix_options(data.mix, experiment.experiment.seed)});
  const Batch& batch = loader.next();

  std::vector<Image> images;
  std::vector<std::string> texts;
  for (int row = 0; row < rows; ++row) {
    images.push_back(enlarged(batch.pixels.data() + row * shape.elements(), shape));
    texts.push_back(label_of(batch.targets[static_cast<size_t>(row)], sets.class_names));
  }
  const auto columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(rows))));
  const std::vector<std::byte> png = encode_png(contact_sheet(images, texts, columns));
  PosixFileSystem files;
  write_file_atomic(files, path, {reinterpret_cast<const char*>(png.data()), png.size()});
  std::printf("%s: %d training samples\n", path.c_str(), rows);
  return 0;
}

}  // namespace convoy
