#include "launcher/sample_shape.h"

#include <algorithm>

#include "core/data/idx.h"

namespace convoy {

Shape sample_shape(const DataConfig& data) {
  if (data.format == DataFormat::kIdx) return read_images_header(data.train.value().images).sample;
  const auto [h, w, c] = data.shape.value();
  return {1, h, w, c};
}

int64_t training_samples(const DataConfig& data) {
  const int64_t all =
      data.format == DataFormat::kIdx ? read_images_header(data.train.value().images).size : data.train_size;
  return data.train_limit ? std::min<int64_t>(all, *data.train_limit) : all;
}

}  // namespace convoy
