// Bytes of a file that may be gzipped, front to back.  The only door to zlib.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace convoy {

class ByteReader {
 public:
  // `file` must outlive the reader; it is inflated if it starts like gzip.  `name` is for messages.
  ByteReader(std::span<const std::byte> file, std::string name);
  ~ByteReader();

  // Fills `out` as far as there is data; returns how many bytes that was.  The checksum is verified when the end is
  // reached.  Throws Error(kBadData) on a damaged or cut gzip stream, or bytes after its end.
  size_t read(std::span<std::byte> out);

 private:
  struct Inflater;  // only for gzip
  size_t read_gzip(std::span<std::byte> out);

  const std::string name_;
  std::span<const std::byte> rest_;  // not consumed yet; only for plain bytes
  std::unique_ptr<Inflater> inflater_;
};

}  // namespace convoy
