#include "core/data/survey.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "core/base/error.h"
#include "core/base/in_order.h"
#include "core/base/simd.h"
#include "core/image/decoder.h"

namespace convoy {
namespace {

// What one image is, or what is wrong with it.
struct Finding {
  std::optional<std::string> reason;
  std::string format;
  ImageSize size;
  int64_t bytes = 0;
  PixelSums pixels;
};

// One a thread.
class Reader {
 public:
  explicit Reader(const ImageStore& store) : store_(store), decoder_(3) {}

  Finding operator()(int64_t i) {
    const std::string name = store_.name(i);
    try {
      return read(i, name);
    } catch (const Error& error) {
      if (error.code() == ExitCode::kOutOfMemory) throw;
      Finding bad;
      bad.reason = reason_of(error.what(), name);
      return bad;
    }
  }

 private:
  Finding read(int64_t i, const std::string& name) {
    Finding found;
    store_.verify(i);
    const std::span<const std::byte> file = store_.file(i, scratch_);
    found.bytes = static_cast<int64_t>(file.size());
    found.size = decoder_.open(file, name);
    found.format = decoder_.format();
    decoder_.decode({0, 0, found.size.width, found.size.height}, found.size, image_);
    found.pixels.add(image_);
    return found;
  }

  const ImageStore& store_;
  ImageDecoder decoder_;
  std::vector<std::byte> scratch_;
  Image image_;
};

constexpr int kLanes = 48;        // values side by side, a multiple of 3
constexpr int64_t kSteps = 4096;  // a lane's sum of so many squares fits 32 bits

// Adds `steps` times kLanes values, lane by lane.
CONVOY_INLINE inline void add_lanes(const uint8_t* values, int64_t steps, uint32_t* sums, uint32_t* squares) {
  for (int64_t step = 0; step < steps; ++step, values += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const uint32_t value = values[lane];
      sums[lane] += value;
      squares[lane] += value * value;
    }
  }
}

}  // namespace

void PixelSums::add(const Image& image) {
  CHECK(image.channels == 3);
  const auto total = static_cast<int64_t>(image.pixels.size());
  pixels += total / 3;
  for (int64_t begin = 0; begin < total;) {
    std::array<uint32_t, kLanes> sums = {}, square_sums = {};
    const uint8_t* data = image.pixels.data() + begin;
    const int64_t steps = std::min(kSteps, (total - begin) / kLanes);
    simd([&]() CONVOY_INLINE { add_lanes(data, steps, sums.data(), square_sums.data()); });
    begin += steps * kLanes;
    for (int lane = 0; steps == 0 && begin < total; ++lane, ++begin) {  // the rest, less than kLanes
      const uint32_t value = data[lane];
      sums[static_cast<size_t>(lane)] = value;
      square_sums[static_cast<size_t>(lane)] = value * value;
    }
    for (size_t lane = 0; lane < kLanes; ++lane) {
      values[lane % 3] += sums[lane];
      squares[lane % 3] += square_sums[lane];
    }
  }
}

void PixelSums::add(const PixelSums& other) {
  pixels += other.pixels;
  for (size_t c = 0; c < 3; ++c) values[c] += other.values[c], squares[c] += other.squares[c];
}

double PixelSums::mean(int channel) const {
  return pixels == 0 ? 0 : values[static_cast<size_t>(channel)] / static_cast<double>(pixels) / 255;
}

double PixelSums::deviation(int channel) const {
  if (pixels == 0) return 0;
  const double square = squares[static_cast<size_t>(channel)] / static_cast<double>(pixels) / (255.0 * 255);
  return std::sqrt(std::max(square - mean(channel) * mean(channel), 0.0));
}

void Extent::add(int64_t value) {
  least = count == 0 ? value : std::min(least, value);
  most = count == 0 ? value : std::max(most, value);
  sum += static_cast<double>(value);
  ++count;
}

std::string reason_of(const std::string& what, const std::string& name) {
  const std::string prefix = name + ": ";
  return what.starts_with(prefix) ? what.substr(prefix.size()) : what;
}

Survey survey_images(const ImageStore& store, int threads, const OnBadImage& on_bad, const OnProgress& on_progress) {
  Survey survey;
  survey.by_class.resize(store.class_names().size());
  std::vector<std::unique_ptr<Reader>> readers;
  for (int thread = 0; thread < threads; ++thread) readers.push_back(std::make_unique<Reader>(store));
  const auto read = [&](int64_t i, int thread) { return (*readers[static_cast<size_t>(thread)])(i); };
  in_order(store.size(), threads, read, [&](int64_t i, const Finding& found) {
    on_progress(i + 1);
    if (found.reason) {
      ++survey.bad;
      return on_bad(store.name(i), *found.reason);
    }
    ++survey.images;
    ++survey.by_class[static_cast<size_t>(store.label(i))];
    ++survey.by_format[found.format];
    survey.width.add(found.size.width);
    survey.height.add(found.size.height);
    survey.bytes.add(found.bytes);
    survey.pixels.add(found.pixels);
  });
  return survey;
}

}  // namespace convoy
