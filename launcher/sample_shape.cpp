#include "launcher/sample_shape.h"

#include "core/data/idx.h"

namespace convoy {

Shape sample_shape(const DataConfig& data) {
  if (data.format == DataFormat::kIdx) return read_images_header(data.train.value().images).sample;
  const auto [h, w, c] = data.shape.value();
  return {1, h, w, c};
}

}  // namespace convoy
