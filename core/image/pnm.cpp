#include "core/image/pnm.h"

#include <cstring>

#include "core/base/error.h"
#include "core/image/pixels.h"

namespace convoy {
namespace {

class PnmReader final : public ImageReader {
 public:
  explicit PnmReader(int channels) : channels_(channels) {}

  ImageSize open(std::span<const std::byte> file, const std::string& name) override {
    name_ = name;
    file_ = {reinterpret_cast<const uint8_t*>(file.data()), file.size()};
    position_ = 2;  // behind P5 or P6
    file_channels_ = file_[1] == '5' ? 1 : 3;
    const int width = number(), height = number(), largest = number();
    if (largest != 255) bad("expected 255 as the largest value of a pixel, found " + std::to_string(largest));
    skip_space();
    require_size(width, height, name);
    size_ = {width, height};
    pixels_ = file_.subspan(position_);
    const auto expected =
        static_cast<size_t>(file_channels_) * static_cast<size_t>(width) * static_cast<size_t>(height);
    if (pixels_.size() != expected)
      bad("expected " + std::to_string(expected) + " bytes of pixels, found " + std::to_string(pixels_.size()));
    return size_;
  }

  Box decode(const Rect& region, ImageSize, Image& out) override {
    out.resize(region.width, region.height, channels_);
    const auto file_channels = static_cast<size_t>(file_channels_), n = static_cast<size_t>(region.width);
    for (int y = 0; y < region.height; ++y) {
      const size_t first =
          static_cast<size_t>(region.y + y) * static_cast<size_t>(size_.width) + static_cast<size_t>(region.x);
      const uint8_t* const from = pixels_.data() + first * file_channels;
      if (file_channels_ == channels_)
        std::memcpy(out.row(y), from, n * file_channels);
      else if (channels_ == 1)
        rgb_to_grey(from, n, out.row(y));
      else
        grey_to_rgb(from, n, out.row(y));
    }
    return whole(out);
  }

 private:
  [[noreturn]] void bad(const std::string& what) const { throw Error(ExitCode::kBadData, name_ + ": " + what); }

  uint8_t next() {
    if (position_ == file_.size()) bad("expected width, height and largest value, found the end of the file");
    return file_[position_++];
  }

  void skip_space() {
    const uint8_t byte = next();
    if (byte != ' ' && (byte < '\t' || byte > '\r')) bad("expected white space behind a number of the header");
  }

  // Behind white space and comments.
  int number() {
    uint8_t byte = next();
    for (; byte == '#' || byte == ' ' || (byte >= '\t' && byte <= '\r'); byte = next())
      if (byte == '#')
        while (next() != '\n') {
        }
    constexpr int kMost = 1'000'000'000;
    int value = 0;
    for (; byte >= '0' && byte <= '9' && value < kMost / 10; byte = next()) value = 10 * value + (byte - '0');
    --position_;
    if (file_[position_ - 1] < '0' || file_[position_ - 1] > '9') bad("expected a number in the header");
    return value;
  }

  const int channels_;
  std::string name_;
  std::span<const uint8_t> file_, pixels_;
  size_t position_ = 0;
  int file_channels_ = 0;
  ImageSize size_;
};

}  // namespace

std::unique_ptr<ImageReader> make_pnm_reader(int channels) { return std::make_unique<PnmReader>(channels); }

}  // namespace convoy
