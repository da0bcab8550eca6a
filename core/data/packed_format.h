// The numbers of a packed file, docs/packed-format.md.  Internal to packed_file.cpp and packed_writer.cpp.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace convoy::packed {

static_assert(std::endian::native == std::endian::little, "records are read and written as they lie in memory");

inline constexpr std::string_view kMagic = "CONVOYPK";
inline constexpr uint32_t kVersion = 1;

struct Header {
  char magic[8];
  uint32_t version, zero;
};
static_assert(sizeof(Header) == 16);

struct Record {
  uint64_t offset;    // of the image's file, from the start of the packed file
  uint64_t checksum;  // XXH3-64 of it
  uint64_t name;      // offset in the text
  uint32_t size, label;
};
static_assert(sizeof(Record) == 32);

struct Footer {
  uint64_t images, classes;
  uint64_t index;     // offset of the first record
  uint64_t text;      // bytes
  uint64_t checksum;  // XXH3-64 of records, text and the four numbers above
  char magic[8];
};
static_assert(sizeof(Footer) == 48);
inline constexpr size_t kSealedFooter = offsetof(Footer, checksum);

}  // namespace convoy::packed
