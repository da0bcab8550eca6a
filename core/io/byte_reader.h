// Bytes that may be gzipped or deflated, front to back.  The only door to zlib.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace convoy {

// Whether `packed` bytes may be believed to inflate to `inflated`: a bomb does 1000 times, images 2 to 10 times, and
// small files may do what they like.
bool plausible_inflation(int64_t packed, int64_t inflated);

bool starts_like_gzip(std::span<const std::byte> bytes);

// The CRC of gzip and zip.
uint32_t crc32(std::span<const uint8_t> bytes);

enum class Packing { kNone, kGzip, kDeflate };

class ByteReader {
 public:
  // `file` must outlive the reader; it is inflated if it starts like gzip.  `name` is for messages.
  ByteReader(std::span<const std::byte> file, std::string name);
  ByteReader(std::span<const std::byte> file, std::string name, Packing packing);
  ~ByteReader();

  // Fills `out` as far as there is data; returns how many bytes that was.  The checksum is verified when the end is
  // reached.  Throws Error(kBadData) on a damaged or cut stream, bytes after its end, or a bomb.
  size_t read(std::span<std::byte> out);

  // The next `count` bytes, or as many as there are.  Memory grows with what is really there, not with `count`.
  std::vector<uint8_t> read_up_to(int64_t count);

  // Leaves out the next `count` bytes; returns how many there were.
  int64_t skip(int64_t count);

 private:
  struct Inflater;  // only for packed bytes
  size_t read_packed(std::span<std::byte> out);

  const std::string name_;
  const int64_t file_bytes_;
  int64_t inflated_ = 0;             // bytes
  std::span<const std::byte> rest_;  // not consumed yet; only for plain bytes
  std::unique_ptr<Inflater> inflater_;
};

}  // namespace convoy
