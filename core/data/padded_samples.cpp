#include "core/data/padded_samples.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace convoy {

PaddedSamples::PaddedSamples(std::unique_ptr<Dataset> all, const Shape& sample)
    : all_(std::move(all)), sample_(sample) {
  const Shape from = all_->sample();
  const bool channels = from.c == sample.c || (from.c == 1 && sample.c == 3);
  if (from.h <= sample.h && from.w <= sample.w && channels) return;
  throw Error(ExitCode::kConfig, "images of " + to_string(from) + " do not fit into " + to_string(sample) +
                                     ": they are padded, and grey becomes colour, nothing else");
}

int PaddedSamples::read(int64_t i, int64_t epoch, uint8_t* pixels) const {
  const Shape from = all_->sample();
  thread_local std::vector<uint8_t> image;
  image.resize(static_cast<size_t>(from.elements()));
  const int label = all_->read(i, epoch, image.data());
  std::fill_n(pixels, sample_.elements(), uint8_t{0});
  const int top = (sample_.h - from.h) / 2, left = (sample_.w - from.w) / 2, copies = sample_.c / from.c;
  const uint8_t* in = image.data();
  for (int y = 0; y < from.h; ++y) {
    uint8_t* out = pixels + (int64_t{top + y} * sample_.w + left) * sample_.c;
    for (int k = 0; k < from.w * from.c; ++k, ++in) out = std::fill_n(out, copies, *in);
  }
  return label;
}

}  // namespace convoy
