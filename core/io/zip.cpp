#include "core/io/zip.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <string_view>

#include "core/base/error.h"
#include "core/io/byte_reader.h"

namespace convoy {
namespace {

constexpr int64_t kEndBytes = 22, kLocatorBytes = 20, kEnd64Bytes = 56, kEntryBytes = 46, kLocalBytes = 30;
constexpr int64_t kMaxComment = 65535;
constexpr int64_t kMaxDirectory = int64_t{256} << 20;  // bytes
constexpr uint16_t kNone16 = 0xffff;                   // the value is in a zip64 record
constexpr uint32_t kNone32 = 0xffffffff;

// A little-endian number.
template <class T>
T number(std::span<const std::byte> bytes, size_t offset) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  T value;
  std::memcpy(&value, bytes.subspan(offset, sizeof(T)).data(), sizeof(T));
  return value;
}

bool has_signature(std::span<const std::byte> bytes, std::string_view letters) {
  return bytes.size() >= 4 && std::memcmp(bytes.data(), "PK", 2) == 0 &&
         std::memcmp(bytes.data() + 2, letters.data(), 2) == 0;
}

std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

int64_t as_size(uint64_t value, const std::string& name) {
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / 2))
    bad_data(name, "zip sizes and offsets: expected less than 2^62, found " + std::to_string(value));
  return static_cast<int64_t>(value);
}

struct Directory {
  int64_t entries = 0, offset = 0, size = 0;  // bytes
};

class DirectoryReader {
 public:
  explicit DirectoryReader(const InputFile& file) : file_(file), name_(file.path()) {}

  std::vector<ZipMember> read() const {
    const Directory directory = find_directory();
    const std::vector<std::byte> bytes = bytes_at(directory.offset, directory.size);
    std::span<const std::byte> rest = bytes;
    std::vector<ZipMember> members;
    while (!rest.empty()) members.push_back(take_entry(rest));
    if (static_cast<int64_t>(members.size()) != directory.entries)
      bad_data(name_, "expected " + std::to_string(directory.entries) + " members in the zip directory, found " +
                          std::to_string(members.size()));
    set_limits(members, directory.offset);
    return members;
  }

 private:
  std::vector<std::byte> bytes_at(int64_t offset, int64_t count) const {
    std::vector<std::byte> bytes(static_cast<size_t>(count));
    file_.read_at(offset, bytes);
    return bytes;
  }

  // The end record lies before a comment of unknown length, which must reach to the end of the file.
  Directory find_directory() const {
    const int64_t tail_bytes = std::min(file_.size(), kEndBytes + kMaxComment);
    const std::vector<std::byte> tail = bytes_at(file_.size() - tail_bytes, tail_bytes);
    for (int64_t at = tail_bytes - kEndBytes; at >= 0; --at) {
      const auto end = std::span<const std::byte>(tail).subspan(static_cast<size_t>(at));
      if (has_signature(end, "\5\6") && number<uint16_t>(end, 20) == tail_bytes - at - kEndBytes)
        return read_end(end, file_.size() - tail_bytes + at);
    }
    bad_data(name_, "expected a zip archive, found no end of one: something else, or cut short");
  }

  Directory read_end(std::span<const std::byte> end, int64_t position) const {
    const std::optional<Directory> large = find_zip64(position);
    Directory directory = {number<uint16_t>(end, 10), number<uint32_t>(end, 16), number<uint32_t>(end, 12)};
    const auto one_disk = [&](size_t at) {
      return number<uint16_t>(end, at) == 0 || (large && number<uint16_t>(end, at) == kNone16);
    };
    if (!one_disk(4) || !one_disk(6) || number<uint16_t>(end, 8) != directory.entries) split();
    if (large) return *large;
    check_extent(directory, position);
    return directory;
  }

  // The zip64 end record, where a locator in front of the end record says that there is one.
  std::optional<Directory> find_zip64(int64_t end_position) const {
    if (end_position < kLocatorBytes + kEnd64Bytes) return {};
    const int64_t locator_position = end_position - kLocatorBytes;
    const std::vector<std::byte> locator = bytes_at(locator_position, kLocatorBytes);
    if (!has_signature(locator, "\6\7")) return {};
    if (number<uint32_t>(locator, 4) != 0 || number<uint32_t>(locator, 16) > 1) split();
    const int64_t position = as_size(number<uint64_t>(locator, 8), name_);
    if (position > locator_position - kEnd64Bytes) bad_data(name_, "the zip64 end record lies outside the archive");
    const std::vector<std::byte> end = bytes_at(position, kEnd64Bytes);
    if (!has_signature(end, "\6\6")) bad_data(name_, "expected a zip64 end record, found something else");
    if (number<uint32_t>(end, 16) != 0 || number<uint32_t>(end, 20) != 0 ||
        number<uint64_t>(end, 24) != number<uint64_t>(end, 32))
      split();
    const Directory directory = {as_size(number<uint64_t>(end, 32), name_), as_size(number<uint64_t>(end, 48), name_),
                                 as_size(number<uint64_t>(end, 40), name_)};
    check_extent(directory, position);
    return directory;
  }

  [[noreturn]] void split() const {
    bad_data(name_, "expected a zip archive in one file, found one split into several");
  }

  void check_extent(const Directory& directory, int64_t end) const {
    if (directory.offset + directory.size != end)
      bad_data(name_, "expected the zip directory to end at byte " + std::to_string(end) + ", found " +
                          std::to_string(directory.size) + " bytes at " + std::to_string(directory.offset));
    if (directory.size > kMaxDirectory)
      bad_data(name_, "expected a zip directory of at most " + std::to_string(kMaxDirectory) + " bytes, found " +
                          std::to_string(directory.size));
  }

  // The entry at the front of `rest`, which is shortened by it.
  ZipMember take_entry(std::span<const std::byte>& rest) const {
    if (std::ssize(rest) < kEntryBytes || !has_signature(rest, "\1\2")) bad_data(name_, "the zip directory is damaged");
    const size_t name_bytes = number<uint16_t>(rest, 28), extra_bytes = number<uint16_t>(rest, 30);
    const size_t bytes = kEntryBytes + name_bytes + extra_bytes + number<uint16_t>(rest, 32);
    if (rest.size() < bytes) bad_data(name_, "the zip directory is damaged");
    ZipMember member;
    member.name = text(rest.subspan(kEntryBytes, name_bytes));
    const std::string where = name_ + ": member '" + member.name + "'";
    constexpr int kEncrypted = 1 | 1 << 6 | 1 << 13;
    if ((number<uint16_t>(rest, 8) & kEncrypted) != 0) bad_data(where, "expected plain data, found encryption");
    const int method = number<uint16_t>(rest, 10);
    if (method != 0 && method != 8)
      bad_data(where, "expected a stored (0) or deflated (8) member, found method " + std::to_string(method));
    member.deflated = method == 8;
    member.crc = number<uint32_t>(rest, 16);
    read_sizes(rest, rest.subspan(kEntryBytes + name_bytes, extra_bytes), member, where);
    rest = rest.subspan(bytes);
    return member;
  }

  // 32-bit sizes, or in their place the 64-bit ones of extra field 1, which has only those that are needed.
  void read_sizes(std::span<const std::byte> entry, std::span<const std::byte> extra, ZipMember& member,
                  const std::string& where) const {
    std::span<const std::byte> wide = find_extra(extra, 1, where);
    const auto take = [&](size_t at) {
      const auto narrow = number<uint32_t>(entry, at);
      if (narrow != kNone32) return int64_t{narrow};
      if (wide.size() < 8) bad_data(where, "its zip64 sizes are missing");
      const auto value = number<uint64_t>(wide, 0);
      wide = wide.subspan(8);
      return as_size(value, where);
    };
    member.size = take(24);
    member.packed_size = take(20);
    member.begin = take(42);
    if (number<uint16_t>(entry, 34) != 0) split();
    if (!member.deflated && member.size != member.packed_size)
      bad_data(where, "stored: expected equal sizes, found " + std::to_string(member.packed_size) + " and " +
                          std::to_string(member.size));
    if (!plausible_inflation(member.packed_size, member.size))
      bad_data(where, std::to_string(member.packed_size) + " packed bytes cannot be trusted to hold " +
                          std::to_string(member.size));
  }

  static std::span<const std::byte> find_extra(std::span<const std::byte> extra, int wanted, const std::string& where) {
    while (extra.size() >= 4) {
      const size_t bytes = number<uint16_t>(extra, 2);
      if (bytes > extra.size() - 4) bad_data(where, "its extra fields are damaged");
      if (number<uint16_t>(extra, 0) == wanted) return extra.subspan(4, bytes);
      extra = extra.subspan(4 + bytes);
    }
    return {};
  }

  // Sorts by place.  A member must end before the next one begins, and the last one before the directory.
  void set_limits(std::vector<ZipMember>& members, int64_t directory) const {
    std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
    std::set<std::string_view> names;
    int64_t limit = directory;
    for (auto member = members.rbegin(); member != members.rend(); ++member) {
      const std::string where = name_ + ": member '" + member->name + "'";
      if (!names.insert(member->name).second) bad_data(where, "expected one member of this name, found two");
      member->limit = limit;
      const int64_t least = kLocalBytes + static_cast<int64_t>(member->name.size()) + member->packed_size;
      if (member->begin > limit - least)
        bad_data(where, "expected " + std::to_string(least) + " bytes before byte " + std::to_string(limit) +
                            ", where something else begins, found it at " + std::to_string(member->begin));
      limit = member->begin;
    }
  }

  const InputFile& file_;
  const std::string& name_;
};

std::vector<uint8_t> inflate_exactly(std::span<const uint8_t> packed, int64_t size, const std::string& where) {
  ByteReader reader(std::as_bytes(packed), where, Packing::kDeflate);
  std::vector<uint8_t> contents = reader.read_up_to(size);
  const bool more = reader.skip(1) != 0;
  if (more || std::ssize(contents) != size)
    bad_data(where,
             "expected " + std::to_string(size) + " bytes, found " + (more ? "more" : std::to_string(contents.size())));
  return contents;
}

}  // namespace

ZipArchive::ZipArchive(const std::string& path) : file_(path), members_(DirectoryReader(file_).read()) {}

const ZipMember& ZipArchive::find(const std::string& name) const {
  std::string names;
  for (const ZipMember& member : members_) {
    if (member.name == name) return member;
    if (names.size() < 200) names += (names.empty() ? "" : ", ") + member.name;
  }
  bad_data(file_.path(), "expected a member '" + name + "', found " + (names.empty() ? "none" : names));
}

// The beginning of the packed data of a member.
std::vector<uint8_t> ZipArchive::packed(const ZipMember& member, int64_t max_bytes) const {
  const std::string where = file_.path() + ": member '" + member.name + "'";
  std::vector<std::byte> local(static_cast<size_t>(kLocalBytes) + member.name.size());
  file_.read_at(member.begin, local);
  if (!has_signature(local, "\3\4") || number<uint16_t>(local, 8) != (member.deflated ? 8 : 0) ||
      number<uint16_t>(local, 26) != member.name.size() ||
      text(std::span(local).subspan(static_cast<size_t>(kLocalBytes))) != member.name)
    bad_data(where, "its header does not agree with the zip directory");
  const int64_t begin = member.begin + std::ssize(local) + number<uint16_t>(local, 28);
  if (begin > member.limit - member.packed_size) bad_data(where, "overlaps with what follows it");
  std::vector<uint8_t> bytes(static_cast<size_t>(std::min(member.packed_size, max_bytes)));
  file_.read_at(begin, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

std::vector<uint8_t> ZipArchive::read(const std::string& name) const {
  const ZipMember& member = find(name);
  const std::string where = file_.path() + ": member '" + name + "'";
  std::vector<uint8_t> contents = packed(member, member.packed_size);
  if (member.deflated) contents = inflate_exactly(contents, member.size, where);
  if (crc32(contents) != member.crc) bad_data(where, "damaged: its checksum does not fit");
  return contents;
}

std::vector<uint8_t> ZipArchive::read_beginning(const std::string& name, int64_t max_bytes) const {
  constexpr int64_t kMostBytes = 65536, kPackedBytes = 4 * kMostBytes;  // deflate makes nothing much longer
  CHECK(max_bytes <= kMostBytes);
  const ZipMember& member = find(name);
  const std::vector<uint8_t> bytes = packed(member, kPackedBytes);
  ByteReader reader(std::as_bytes(std::span(bytes)), file_.path() + ": member '" + name + "'",
                    member.deflated ? Packing::kDeflate : Packing::kNone);
  return reader.read_up_to(std::min(max_bytes, member.size));
}

}  // namespace convoy
