#include "core/data/packed_file.h"

#include <cstring>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/data/packed_format.h"

namespace convoy {
namespace {

using packed::Footer;
using packed::Header;
using packed::Record;

template <class T>
T read(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

Record record(const std::byte* records, int64_t i) {
  return read<Record>(records + static_cast<size_t>(i) * sizeof(Record));
}

bool has_magic(const char (&magic)[8]) { return std::string_view(magic, sizeof magic) == packed::kMagic; }

[[noreturn]] void bad(const MappedFile& file, const std::string& what) {
  throw Error(ExitCode::kBadData, file.path() + ": " + what);
}

// The footer of a file whose parts lie within it and whose index is as it was written.
Footer checked_footer(const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() < sizeof(Header) + sizeof(Footer)) bad(file, "expected a packed file, found its beginning only");
  const auto header = read<Header>(bytes.data());
  if (!has_magic(header.magic)) bad(file, "expected a packed file, found another");
  if (header.version != packed::kVersion || header.zero != 0)
    bad(file, "expected version " + std::to_string(packed::kVersion) + " of the packed format, found version " +
                  std::to_string(header.version));
  const size_t end = bytes.size() - sizeof(Footer);
  const auto footer = read<Footer>(bytes.data() + end);
  if (!has_magic(footer.magic)) bad(file, "expected the end of a packed file, found that it is cut off");
  const bool in_file = footer.index >= sizeof(Header) && footer.index <= end && footer.text <= end - footer.index;
  const uint64_t records = in_file ? end - footer.index - footer.text : 0;
  if (!in_file || footer.images == 0 || records / sizeof(Record) != footer.images || records % sizeof(Record) != 0)
    bad(file, "damaged: its index does not fit its size");
  const auto sealed = bytes.subspan(footer.index, end - footer.index + packed::kSealedFooter);
  if (hash64(sealed) != footer.checksum) bad(file, "damaged: the checksum of its index does not fit");
  return footer;
}

// The text that begins at `begin` and ends in NUL, if there is one; moves `begin` behind it.
bool next_name(std::string_view text, uint64_t& begin, std::string_view& name) {
  const size_t end = text.find('\0', begin);
  if (end == std::string_view::npos) return false;
  name = text.substr(begin, end - begin);
  begin = end + 1;
  return true;
}

}  // namespace

bool is_packed_file(const std::string& path) {
  try {
    const std::vector<std::byte> beginning = read_beginning(path, packed::kMagic.size());
    return std::string_view(reinterpret_cast<const char*>(beginning.data()), beginning.size()) == packed::kMagic;
  } catch (const Error&) {
    return false;
  }
}

PackedFile::PackedFile(const std::string& path) : file_(path) {
  const Footer footer = checked_footer(file_);
  images_ = static_cast<int64_t>(footer.images);
  index_ = file_.bytes().subspan(footer.index, footer.images * sizeof(Record) + footer.text);
  records_ = index_.data();
  uint64_t offset = sizeof(Header), name = 0;
  std::string_view found;
  for (int64_t i = 0; i < images_; ++i) {
    const Record image = record(records_, i);
    if (image.offset != offset || image.size > footer.index - offset || image.label >= footer.classes ||
        image.name != name || !next_name(text(), name, found))
      bad(file_, "damaged: record " + std::to_string(i) + " of its index does not fit the others");
    offset += image.size;
  }
  while (next_name(text(), name, found)) class_names_.emplace_back(found);
  if (offset != footer.index || name != text().size() || class_names_.size() != footer.classes)
    bad(file_, "damaged: its index does not fit its images or classes");
}

std::string_view PackedFile::text() const {
  const auto bytes = index_.subspan(static_cast<size_t>(images_) * sizeof(Record));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

int PackedFile::label(int64_t i) const { return static_cast<int>(record(records_, i).label); }

std::string PackedFile::name(int64_t i) const {
  const std::string_view rest = text().substr(record(records_, i).name);
  return std::string(rest.substr(0, rest.find('\0')));
}

std::span<const std::byte> PackedFile::file(int64_t i, std::vector<std::byte>&) const {
  const Record image = record(records_, i);
  return file_.bytes().subspan(image.offset, image.size);
}

void PackedFile::will_read(int64_t i) const {
  const Record image = record(records_, i);
  file_.will_read(static_cast<int64_t>(image.offset), image.size);
}

void PackedFile::verify(int64_t i) const {
  const Record image = record(records_, i);
  if (hash64(file_.bytes().subspan(image.offset, image.size)) != image.checksum)
    bad(file_, name(i) + ": damaged: its checksum does not fit");
}

std::string PackedFile::fingerprint() const { return hash128_hex(index_); }

}  // namespace convoy
