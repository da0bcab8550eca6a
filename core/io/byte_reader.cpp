#include "core/io/byte_reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include <zlib.h>

#include "core/base/error.h"

namespace convoy {
namespace {

constexpr size_t kMaxChunk = std::numeric_limits<uInt>::max();  // zlib counts in 32 bits

}  // namespace

bool plausible_inflation(int64_t packed, int64_t inflated) {
  constexpr int64_t kFreeBytes = int64_t{64} << 20, kMaxInflation = 64;
  return inflated <= kFreeBytes || inflated / kMaxInflation <= packed;
}

uint32_t crc32(std::span<const uint8_t> bytes) {
  return static_cast<uint32_t>(::crc32_z(::crc32_z(0, nullptr, 0), bytes.data(), bytes.size()));
}

bool starts_like_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

struct ByteReader::Inflater {
  Inflater(std::span<const std::byte> file, bool is_gzip)
      : gzip(is_gzip), what(gzip ? "gzip stream" : "deflate stream"), input(file) {
    constexpr int kWindowBits = 15;  // + 16: with gzip's header, negative: with none
    CHECK(inflateInit2(&stream, gzip ? kWindowBits + 16 : -kWindowBits) == Z_OK, "inflateInit2");
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream); }

  // Inflates into `out`, at most kMaxChunk bytes of it; returns zlib's verdict and leaves the rest of both.
  int inflate_some(std::span<std::byte>& out) {
    const size_t in_chunk = std::min(input.size(), kMaxChunk), out_chunk = std::min(out.size(), kMaxChunk);
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(input.data()));
    stream.avail_in = static_cast<uInt>(in_chunk);
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out_chunk);
    const int verdict = inflate(&stream, Z_NO_FLUSH);
    input = input.subspan(in_chunk - stream.avail_in);
    out = out.subspan(out_chunk - stream.avail_out);
    return verdict;
  }

  // After the end of a member: a gzip file may have several, one after the other (RFC 1952, section 2.2).
  void next_member() {
    ended = !(gzip && starts_like_gzip(input));
    if (!ended) CHECK(inflateReset(&stream) == Z_OK, "inflateReset");
  }

  const bool gzip;
  const std::string what;
  z_stream stream = {};
  std::span<const std::byte> input;
  bool ended = false;
};

ByteReader::ByteReader(std::span<const std::byte> file, std::string name)
    : ByteReader(file, std::move(name), starts_like_gzip(file) ? Packing::kGzip : Packing::kNone) {}

ByteReader::ByteReader(std::span<const std::byte> file, std::string name, Packing packing)
    : name_(std::move(name)), file_bytes_(static_cast<int64_t>(file.size())), rest_(file) {
  if (packing != Packing::kNone) inflater_ = std::make_unique<Inflater>(file, packing == Packing::kGzip);
}

ByteReader::~ByteReader() = default;

size_t ByteReader::read(std::span<std::byte> out) {
  if (inflater_) return read_packed(out);
  const size_t count = std::min(out.size(), rest_.size());
  if (count > 0) std::memcpy(out.data(), rest_.data(), count);
  rest_ = rest_.subspan(count);
  return count;
}

std::vector<uint8_t> ByteReader::read_up_to(int64_t count) {
  constexpr int64_t kStep = int64_t{16} << 20, kTrusted = int64_t{64} << 20;  // a header may promise anything
  std::vector<uint8_t> bytes;
  bytes.reserve(static_cast<size_t>(std::min(count, kTrusted)));
  while (static_cast<int64_t>(bytes.size()) < count) {
    const size_t begin = bytes.size();
    const auto step = static_cast<size_t>(std::min(kStep, count - static_cast<int64_t>(begin)));
    if (bytes.capacity() < begin + step) bytes.reserve(std::min(static_cast<size_t>(count), 2 * begin + step));
    bytes.resize(begin + step);
    const size_t got = read(std::as_writable_bytes(std::span(bytes).subspan(begin)));
    bytes.resize(begin + got);
    if (got < step) break;
  }
  return bytes;
}

int64_t ByteReader::skip(int64_t count) {
  if (!inflater_) {
    const int64_t skipped = std::min(count, static_cast<int64_t>(rest_.size()));
    rest_ = rest_.subspan(static_cast<size_t>(skipped));
    return skipped;
  }
  std::array<std::byte, 1 << 16> scratch;
  int64_t skipped = 0;
  while (skipped < count) {
    const auto step = static_cast<size_t>(std::min<int64_t>(scratch.size(), count - skipped));
    const size_t got = read(std::span(scratch).first(step));
    skipped += static_cast<int64_t>(got);
    if (got < step) break;
  }
  return skipped;
}

size_t ByteReader::read_packed(std::span<std::byte> out) {
  std::span<std::byte> left = out;
  while (!left.empty() && !inflater_->ended) {
    const int verdict = inflater_->inflate_some(left);
    if (verdict == Z_BUF_ERROR) throw Error(ExitCode::kBadData, name_ + ": the " + inflater_->what + " is cut short");
    if (verdict != Z_OK && verdict != Z_STREAM_END)
      throw Error(ExitCode::kBadData, name_ + ": the " + inflater_->what + " is damaged" +
                                          (inflater_->stream.msg ? ": " + std::string(inflater_->stream.msg) : ""));
    if (verdict == Z_STREAM_END) inflater_->next_member();
  }
  inflated_ += static_cast<int64_t>(out.size() - left.size());
  if (!plausible_inflation(file_bytes_, inflated_))
    throw Error(ExitCode::kBadData, name_ + ": " + std::to_string(file_bytes_) + " packed bytes inflate to " +
                                        std::to_string(inflated_) + " and more, which no images do");
  if (inflater_->ended && !inflater_->input.empty())
    throw Error(ExitCode::kBadData, name_ + ": expected nothing after the " + inflater_->what + ", found " +
                                        std::to_string(inflater_->input.size()) + " bytes");
  return out.size() - left.size();
}

}  // namespace convoy
