#include "core/io/zip_writer.h"

#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/io/byte_reader.h"

namespace convoy {
namespace {

constexpr uint16_t kVersion = 20;               // 2.0, of PKZIP
constexpr uint16_t kUnix = 3 << 8;              // who made it
constexpr uint16_t kUtf8 = 1 << 11;             // names
constexpr uint16_t kDate = 1 << 5 | 1;          // 1 January 1980, the earliest: the same bytes every time
constexpr uint32_t kRegularFile = 0600U << 16;  // its mode

template <class... Numbers>
std::string pack(std::string signature, Numbers... numbers) {
  const auto append = [&](auto number) {
    char bytes[sizeof number];
    std::memcpy(bytes, &number, sizeof number);
    signature.append(bytes, sizeof number);
  };
  (append(numbers), ...);
  return signature;
}

}  // namespace

void ZipWriter::write(const std::string& bytes) {
  file_.write(std::as_bytes(std::span(bytes)));
  position_ += bytes.size();
}

void ZipWriter::require_room(uint64_t bytes) const {
  if (position_ + bytes >= UINT32_MAX)
    throw Error(ExitCode::kCannotCreate, name_ + ": expected an archive of less than 4 GiB");
}

void ZipWriter::add(const std::string& member, std::span<const uint8_t> contents) {
  CHECK(member.size() < UINT16_MAX && entries_.size() < UINT16_MAX - 1);
  require_room(contents.size());
  const Entry entry = {member, crc32(contents), static_cast<uint32_t>(contents.size()),
                       static_cast<uint32_t>(position_)};
  write(pack("PK\3\4", kVersion, kUtf8, uint16_t{0}, uint16_t{0}, kDate, entry.crc, entry.size, entry.size,
             static_cast<uint16_t>(member.size()), uint16_t{0}) +
        member);
  file_.write(std::as_bytes(contents));
  position_ += contents.size();
  entries_.push_back(entry);
}

void ZipWriter::finish() {
  const uint64_t begin = position_;
  for (const Entry& entry : entries_) {
    require_room(entry.name.size());
    write(pack("PK\1\2", static_cast<uint16_t>(kUnix | kVersion), kVersion, kUtf8, uint16_t{0}, uint16_t{0}, kDate,
               entry.crc, entry.size, entry.size, static_cast<uint16_t>(entry.name.size()), uint16_t{0}, uint16_t{0},
               uint16_t{0}, uint16_t{0}, kRegularFile, entry.offset) +
          entry.name);
  }
  const auto count = static_cast<uint16_t>(entries_.size());
  const auto size = static_cast<uint32_t>(position_ - begin);
  write(pack("PK\5\6", uint16_t{0}, uint16_t{0}, count, count, size, static_cast<uint32_t>(begin), uint16_t{0}));
}

}  // namespace convoy
