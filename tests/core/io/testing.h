// Archives to order.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

inline std::string deflated(const std::string& plain, int window_bits) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline std::string gzip(const std::string& plain) { return deflated(plain, 15 + 16); }

// A number of `count` bytes, little-endian.
inline std::string le(uint64_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> 8 * i);
  return bytes;
}

// What goes into a zip archive; -1: what fits.
struct ZipEntry {
  std::string name, data;
  bool deflate = true;
  int64_t size = -1, packed_size = -1, offset = -1;  // as the directory says
  int flags = 0, method = -1, disk = 0;
};

inline std::string zip_directory_entry(const ZipEntry& entry, size_t packed_size, size_t offset,
                                       const std::string& crc) {
  const auto or_else = [](int64_t value, size_t otherwise) {
    return value < 0 ? otherwise : static_cast<uint64_t>(value);
  };
  return "PK\1\2" + le(20, 2) + le(20, 2) + le(static_cast<uint64_t>(entry.flags), 2) +
         le(or_else(entry.method, entry.deflate ? 8 : 0), 2) + le(0, 4) + crc +
         le(or_else(entry.packed_size, packed_size), 4) + le(or_else(entry.size, entry.data.size()), 4) +
         le(entry.name.size(), 2) + le(0, 4) + le(static_cast<uint64_t>(entry.disk), 2) + le(0, 6) +
         le(or_else(entry.offset, offset), 4) + entry.name;
}

inline std::string zip_archive(const std::vector<ZipEntry>& entries) {
  std::string archive, directory;
  for (const ZipEntry& entry : entries) {
    const std::string packed = entry.deflate ? deflated(entry.data, -15) : entry.data;
    const auto* data = reinterpret_cast<const Bytef*>(entry.data.data());
    const std::string crc = le(::crc32(0, data, static_cast<uInt>(entry.data.size())), 4);
    directory += zip_directory_entry(entry, packed.size(), archive.size(), crc);
    archive += "PK\3\4" + le(20, 2) + le(0, 2) + le(entry.deflate ? 8 : 0, 2) + le(0, 4) + crc + le(packed.size(), 4) +
               le(entry.data.size(), 4) + le(entry.name.size(), 2) + le(0, 2) + entry.name + packed;
  }
  return archive + directory + "PK\5\6" + le(0, 4) + le(entries.size(), 2) + le(entries.size(), 2) +
         le(directory.size(), 4) + le(archive.size(), 4) + le(0, 2);
}

// A field of a tar header.
inline std::string octal(int64_t value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
  return text;
}

// Makes the checksum of a tar header fit.
inline void seal_tar_header(std::string& header) {
  header.replace(148, 8, 8, ' ');
  int64_t sum = 0;
  for (int i = 0; i < 512; ++i) sum += static_cast<unsigned char>(header[static_cast<size_t>(i)]);
  header.replace(148, 8, octal(sum, 6) + std::string("\0 ", 2));
}

// `size` is the 12 bytes of that field.
inline std::string tar_header(std::string_view name, const std::string& size, char type) {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  header.replace(124, size.size(), size);
  header[156] = type;
  header.replace(257, 8, std::string("ustar\00000", 8));
  seal_tar_header(header);
  return header;
}

// A member: a regular file, unless `type` says otherwise.  Requires: a name of at most 100 bytes.
inline std::string tar_file(std::string_view name, std::string_view data, char type = '0') {
  return tar_header(name, octal(static_cast<int64_t>(data.size()), 11), type) + std::string(data) +
         std::string((512 - data.size() % 512) % 512, '\0');
}

inline std::string tar_end() { return std::string(1024, '\0'); }

// One record of pax attributes: its length counts itself.
inline std::string pax_record(const std::string& key, const std::string& value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) length = std::to_string(length).size() + rest;
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

// As NumPy writes it, but for the padding.  `dims` is a Python tuple.
inline std::string npy_file(const std::string& type, const std::string& dims, std::string_view elements) {
  const std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + dims + ", }\n";
  return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size()) + '\0' + header + std::string(elements);
}

inline std::string from_base64(std::string_view text) {
  const std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char letter : text.substr(0, text.find('='))) {
    bits = bits << 6 | static_cast<uint32_t>(alphabet.find(letter));
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count);
  }
  return bytes;
}

}  // namespace convoy
