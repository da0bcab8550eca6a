#include "core/image/png.h"

#include <png.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/base/error.h"
#include "core/image/guard.h"
#include "core/image/pixels.h"

namespace convoy {
namespace {

[[noreturn]] void fail(png_structp png, const char* message) {
  auto& guard = *static_cast<Guard*>(png_get_error_ptr(png));
  std::snprintf(guard.message.data(), guard.message.size(), "%s", message);
  std::longjmp(guard.target, 1);
}

// So that libpng's memory being out, which it words in many ways, is told from damage.
png_voidp allocate(png_structp png, png_alloc_size_t bytes) {
  void* memory = std::malloc(bytes);
  if (memory == nullptr) *static_cast<bool*>(png_get_mem_ptr(png)) = true;
  return memory;
}

void release(png_structp, png_voidp memory) { std::free(memory); }

// Of what is not pixels: their damage is an error.
void ignore_warning(png_structp, const char*) {}

void read_bytes(png_structp png, png_bytep to, size_t count) {
  auto& rest = *static_cast<std::span<const std::byte>*>(png_get_io_ptr(png));
  if (rest.size() < count) png_error(png, "the file ends early");
  std::memcpy(to, rest.data(), count);
  rest = rest.subspan(count);
}

class PngReader final : public ImageReader {
 public:
  explicit PngReader(int channels) : channels_(channels) {}
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() override { close(); }

  ImageSize open(std::span<const std::byte> file, const std::string& name) override {
    file_ = file, name_ = name;
    read_header();
    return size_;
  }

  Box decode(const Rect& region, ImageSize, Image& out) override {
    if (!header_is_read_) read_header();
    header_is_read_ = false;
    out.resize(region.width, region.height, channels_);
    rows_.resize(row_bytes_ * static_cast<size_t>(passes_ == 1 ? 1 : size_.height));
    call([&] { read_rows(region, out); });
    close();
    return whole(out);
  }

 private:
  template <class Body>
  void call(const Body& body) {
    if (guarded(guard_, body)) return;
    if (out_of_memory_) throw std::bad_alloc();
    bad("expected an undamaged PNG, found: " + std::string(guard_.message.data()));
  }

  [[noreturn]] void bad(const std::string& what) const { throw Error(ExitCode::kBadData, name_ + ": " + what); }

  void close() { png_destroy_read_struct(&png_, &info_, nullptr); }

  void read_header() {
    header_is_read_ = false;
    close();
    rest_ = file_;
    out_of_memory_ = false;
    png_ = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &guard_, fail, ignore_warning, &out_of_memory_, allocate,
                                    release);
    if (png_ == nullptr) throw std::bad_alloc();
    call([&] {
      info_ = png_create_info_struct(png_);
      if (info_ == nullptr) png_error(png_, "not enough memory");
      png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);  // no texts, no colour profiles
      png_set_read_fn(png_, &rest_, read_bytes);
      png_read_info(png_, info_);
    });
    const int64_t width = png_get_image_width(png_, info_), height = png_get_image_height(png_, info_);
    require_size(width, height, name_);
    size_ = {static_cast<int>(width), static_cast<int>(height)};
    require_data();
    call([&] { choose_pixels(); });
    header_is_read_ = true;
  }

  // Deflate makes at most 1032 bytes of one.
  void require_data() const {
    constexpr int64_t kMostInflation = 1032;
    const int64_t bits =
        int64_t{size_.width} * size_.height * png_get_bit_depth(png_, info_) * png_get_channels(png_, info_);
    if (bits / 8 / kMostInflation > static_cast<int64_t>(file_.size()))
      bad("expected a PNG of " + std::to_string(size_.width) + "x" + std::to_string(size_.height) + ", found only " +
          std::to_string(file_.size()) + " bytes");
  }

  // What rows are to be: RGB, or grey if all is grey and one channel is wanted.
  void choose_pixels() {
    const int type = png_get_color_type(png_, info_);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
    if ((type & PNG_COLOR_MASK_COLOR) == 0 && channels_ == 3) png_set_gray_to_rgb(png_);
    png_set_scale_16(png_);
    png_set_strip_alpha(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    row_bytes_ = png_get_rowbytes(png_, info_);
  }

  // Called by call(): no destructors, no exceptions.
  void read_rows(const Rect& region, Image& out) {
    const int end = region.y + region.height;
    for (int pass = 1; pass < passes_; ++pass)
      for (int y = 0; y < size_.height; ++y) png_read_row(png_, row(y), nullptr);
    for (int y = 0; y < end; ++y) {
      png_read_row(png_, row(y), nullptr);
      if (y >= region.y) convert(row(y), region, out.row(y - region.y));
    }
    if (end == size_.height) png_read_end(png_, nullptr);  // checks the last of the pixels
  }

  // Interlaced: all rows, which become complete in the last pass.
  uint8_t* row(int y) { return rows_.data() + (passes_ == 1 ? 0 : static_cast<size_t>(y) * row_bytes_); }

  void convert(const uint8_t* row, const Rect& region, uint8_t* out) const {
    const size_t channels = png_get_channels(png_, info_), n = static_cast<size_t>(region.width);
    const uint8_t* pixels = row + static_cast<size_t>(region.x) * channels;
    if (channels == static_cast<size_t>(channels_))
      std::memcpy(out, pixels, n * channels);
    else
      rgb_to_grey(pixels, n, out);
  }

  const int channels_;
  std::span<const std::byte> file_, rest_;  // rest_: not yet read
  std::string name_;

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  Guard guard_;
  bool out_of_memory_ = false;
  bool header_is_read_ = false;  // and nothing behind it
  ImageSize size_;
  int passes_ = 1;
  size_t row_bytes_ = 0;
  std::vector<uint8_t> rows_;
};

}  // namespace

std::unique_ptr<ImageReader> make_png_reader(int channels) { return std::make_unique<PngReader>(channels); }

}  // namespace convoy
