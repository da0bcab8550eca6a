#include "core/image/jpeg.h"

#include <algorithm>
#include <cstdio>  // jpeglib.h needs it
#include <cstring>
#include <new>

#include <jerror.h>
#include <jpeglib.h>

#include "core/base/error.h"
#include "core/image/exif.h"
#include "core/image/guard.h"
#include "core/image/pixels.h"

namespace convoy {
namespace {

constexpr int kMaxScans = 500;  // of a progressive file; what people make has about 10
constexpr int kExifMarker = JPEG_APP0 + 1;

// Colours between two samples of a halved channel come from both, so the edge of what is decoded is not as in the whole
// image.  Two pixels are enough, and columns of blocks are decoded whole anyway.
constexpr int kUpsamplingMargin = 2;
// A progressive file that leaves out low bits is smoothed across five blocks.
constexpr int kSmoothingMarginBlocks = 3;

// Warnings that leave every pixel as it was meant.  With all others libjpeg makes pixels up.
bool is_harmless(const jpeg_error_mgr& error) {
  switch (error.msg_code) {
    case JWRN_EXTRANEOUS_DATA:  // common between segments; before a restart marker it is damage in the pixels before it
      return error.msg_parm.i[1] < JPEG_RST0 || error.msg_parm.i[1] > JPEG_RST0 + 7;
    case JWRN_ADOBE_XFORM:     // an unknown colour transform: read as YCbCr, as all readers do
    case JWRN_BOGUS_ICC:       // colour profiles are not used
    case JWRN_JFIF_MAJOR:      // the same pixels by any version
    case JWRN_NOT_SEQUENTIAL:  // numbers that a sequential file has no use for
      return true;
    default: return false;
  }
}

[[noreturn]] void fail(j_common_ptr jpeg) {
  auto& guard = *static_cast<Guard*>(jpeg->client_data);
  static_assert(sizeof(guard.message) >= JMSG_LENGTH_MAX);
  jpeg->err->format_message(jpeg, guard.message.data());
  std::longjmp(guard.target, 1);
}

void on_message(j_common_ptr jpeg, int level) {
  constexpr int kWarning = -1;
  if (level == kWarning && !is_harmless(*jpeg->err)) fail(jpeg);
}

// A scan may be a few bytes and cost a pass over the whole image.
void on_progress(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMaxScans) return;
  auto& guard = *static_cast<Guard*>(jpeg->client_data);
  std::snprintf(guard.message.data(), guard.message.size(), "more than %d scans", kMaxScans);
  std::longjmp(guard.target, 1);
}

// Huffman codes have at least one bit a block, and at best 16 blocks make 1024 pixels (channels of 4x1 and 1x4).
// Arithmetic coding has no such bound.
bool can_hold(const jpeg_decompress_struct& jpeg, size_t file_bytes) {
  constexpr int64_t kPixelsPerByte = 1024, kMaxSmallArithmetic = int64_t{16} << 20;
  const int64_t pixels = int64_t{jpeg.image_width} * jpeg.image_height;
  return pixels / kPixelsPerByte <= static_cast<int64_t>(file_bytes) ||
         (jpeg.arith_code != 0 && pixels <= kMaxSmallArithmetic);
}

class JpegReader final : public ImageReader {
 public:
  explicit JpegReader(int channels) : channels_(channels) {}
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() override { jpeg_destroy_decompress(&jpeg_); }

  ImageSize open(std::span<const std::byte> file, const std::string& name) override {
    file_ = file, name_ = name;
    read_header();
    return upright_size(stored_size(), orientation_);
  }

  Box decode(const Rect& region, ImageSize enough, Image& out) override {
    if (!header_is_read_) read_header();
    header_is_read_ = false;
    const int scale = reduction(region, enough);
    const Rect stored = stored_region(region, stored_size(), orientation_);
    const int right = (stored.x + stored.width + scale - 1) / scale;
    const int bottom = (stored.y + stored.height + scale - 1) / scale;
    const Rect part = {stored.x / scale, stored.y / scale, right - stored.x / scale, bottom - stored.y / scale};
    const bool upright = orientation_ == Orientation();
    read_pixels(part, scale, upright ? out : stored_);
    if (!upright) make_upright(stored_, orientation_, out);

    const auto in_part = [&](int full, int origin) { return static_cast<double>(full) / scale - origin; };
    const Box box = {in_part(stored.x, part.x), in_part(stored.y, part.y), in_part(stored.x + stored.width, part.x),
                     in_part(stored.y + stored.height, part.y)};
    return upright_box(box, {part.width, part.height}, orientation_);
  }

 private:
  ImageSize stored_size() const { return {static_cast<int>(jpeg_.image_width), static_cast<int>(jpeg_.image_height)}; }

  template <class Body>
  void call(const Body& body) {
    if (guarded(guard_, body)) return;
    if (error_.msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
    if (error_.msg_code == JERR_BAD_PRECISION)
      bad("expected a JPEG of 8 bits a channel, found " + std::to_string(error_.msg_parm.i[0]));
    bad("expected an undamaged JPEG, found: " + std::string(guard_.message.data()));
  }

  [[noreturn]] void bad(const std::string& what) const { throw Error(ExitCode::kBadData, name_ + ": " + what); }

  // A new decompressor each time: one that is used again keeps tables, which the next file may lack.
  void read_header() {
    header_is_read_ = false;
    jpeg_destroy_decompress(&jpeg_);
    jpeg_.err = jpeg_std_error(&error_);
    error_.error_exit = fail;
    error_.emit_message = on_message;
    jpeg_.client_data = &guard_;
    call([&] {
      jpeg_create_decompress(&jpeg_);
      jpeg_.progress = &progress_;
      jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(file_.data()), file_.size());
      jpeg_save_markers(&jpeg_, kExifMarker, 0xffff);
      jpeg_read_header(&jpeg_, TRUE);
    });
    require_size(jpeg_.image_width, jpeg_.image_height, name_);
    if (!can_hold(jpeg_, file_.size()))
      bad("expected a JPEG of " + std::to_string(jpeg_.image_width) + "x" + std::to_string(jpeg_.image_height) +
          ", found only " + std::to_string(file_.size()) + " bytes");
    orientation_ = Orientation();
    for (jpeg_saved_marker_ptr marker = jpeg_.marker_list; marker != nullptr; marker = marker->next)
      if (orientation_ == Orientation())
        orientation_ = exif_orientation(std::as_bytes(std::span(marker->data, marker->data_length)));
    choose_colours();
    header_is_read_ = true;
  }

  void choose_colours() {
    switch (jpeg_.jpeg_color_space) {
      case JCS_GRAYSCALE: jpeg_.out_color_space = channels_ == 1 ? JCS_GRAYSCALE : JCS_RGB; break;
      case JCS_YCbCr:
      case JCS_RGB: jpeg_.out_color_space = JCS_RGB; break;
      case JCS_CMYK:
      case JCS_YCCK: jpeg_.out_color_space = JCS_CMYK; break;
      default:
        bad("expected a JPEG of grey, YCbCr, RGB, CMYK or YCCK, found " + std::to_string(jpeg_.num_components) +
            " channels of unknown meaning");
    }
  }

  // libjpeg makes a halved channel whole by reducing it less, and others partly so: of those, 2.1.5 gets regions wrong.
  // Only files of very odd sampling have them, such as 4:1:0.
  bool can_be_reduced() const {
    const std::span channels(jpeg_.comp_info, static_cast<size_t>(jpeg_.num_components));
    return std::ranges::all_of(channels, [&](const jpeg_component_info& channel) {
      const int across = jpeg_.max_h_samp_factor / channel.h_samp_factor;
      const int down = jpeg_.max_v_samp_factor / channel.v_samp_factor;
      return across == 1 || down == 1 || (across == 2 && down == 2);
    });
  }

  int reduction(const Rect& region, ImageSize enough) const {
    int scale = can_be_reduced() ? 8 : 1;
    while (scale > 1 && (region.width / scale < enough.width || region.height / scale < enough.height)) scale /= 2;
    return scale;
  }

  // `part` of the stored, reduced image.
  void read_pixels(const Rect& part, int scale, Image& to) {
    to.resize(part.width, part.height, channels_);
    row_.resize(size_t{jpeg_.image_width} * 4);
    rgb_row_.resize(size_t{jpeg_.image_width} * 3);
    jpeg_.scale_num = 1;
    jpeg_.scale_denom = static_cast<unsigned>(scale);
    jpeg_.dct_method = JDCT_ISLOW;
    call([&] { read_rows(part, to); });
  }

  // Called by call(): no destructors, no exceptions.
  void read_rows(const Rect& part, Image& to) {
    jpeg_start_decompress(&jpeg_);
    const int width = static_cast<int>(jpeg_.output_width), height = static_cast<int>(jpeg_.output_height);
    const int margin = jpeg_.progressive_mode != 0
                           ? kSmoothingMarginBlocks * jpeg_.max_h_samp_factor * jpeg_.min_DCT_scaled_size
                           : kUpsamplingMargin;
    auto left = static_cast<JDIMENSION>(std::max(0, part.x - margin));
    JDIMENSION columns = static_cast<JDIMENSION>(std::min(width, part.x + part.width + margin)) - left;
    jpeg_crop_scanline(&jpeg_, &left, &columns);
    const int top = std::max(0, part.y - kUpsamplingMargin), end = part.y + part.height;
    if (top > 0) jpeg_skip_scanlines(&jpeg_, static_cast<JDIMENSION>(top));
    for (int y = top; y < part.y; ++y) read_row(row_.data());
    const bool direct = static_cast<int>(columns) == part.width && jpeg_.output_components == channels_;
    for (int y = part.y; y < end; ++y) {
      uint8_t* const out = to.row(y - part.y);
      read_row(direct ? out : row_.data());
      if (!direct) convert(row_.data() + (part.x - static_cast<int>(left)) * jpeg_.output_components, to.width, out);
    }
    if (end == height)
      jpeg_finish_decompress(&jpeg_);  // reads on to the end of the image, and misses it if it is missing
    else
      jpeg_abort_decompress(&jpeg_);
  }

  void read_row(uint8_t* pixels) { jpeg_read_scanlines(&jpeg_, &pixels, 1); }

  void convert(const uint8_t* pixels, int width, uint8_t* out) {
    const auto n = static_cast<size_t>(width);
    if (jpeg_.output_components == channels_) {
      std::memcpy(out, pixels, n * static_cast<size_t>(channels_));
      return;
    }
    if (jpeg_.output_components == 4) {
      inverted_cmyk_to_rgb(pixels, n, channels_ == 3 ? out : rgb_row_.data());
      pixels = rgb_row_.data();
    }
    if (channels_ == 1) rgb_to_grey(pixels, n, out);
  }

  const int channels_;
  std::span<const std::byte> file_;
  std::string name_;

  jpeg_decompress_struct jpeg_ = {};  // all zero: may be destroyed
  jpeg_error_mgr error_ = {};
  jpeg_progress_mgr progress_ = {on_progress, 0, 0, 0, 0};
  Guard guard_;
  bool header_is_read_ = false;  // and nothing behind it
  Orientation orientation_;
  Image stored_;  // before it is turned
  std::vector<uint8_t> row_, rgb_row_;
};

}  // namespace

std::unique_ptr<ImageReader> make_jpeg_reader(int channels) { return std::make_unique<JpegReader>(channels); }

}  // namespace convoy
