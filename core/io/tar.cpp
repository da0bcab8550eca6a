#include "core/io/tar.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/io/byte_reader.h"

namespace convoy {
namespace {

constexpr int64_t kBlock = 512;
constexpr int64_t kMaxText = int64_t{1} << 20;  // bytes of a long name or of pax records

// A header, by the field offsets of POSIX.
class Header {
 public:
  std::array<std::byte, kBlock> block;

  char type() const { return static_cast<char>(block[156]); }
  bool all_zero() const {
    return std::all_of(block.begin(), block.end(), [](std::byte byte) { return byte == std::byte{0}; });
  }
  std::string name() const {
    const bool posix = field(257, 6) == std::string_view("ustar\0", 6);  // GNU keeps times where POSIX has the prefix
    const std::string prefix(posix ? text(345, 155) : "");
    return (prefix.empty() ? "" : prefix + "/") + std::string(text(0, 100));
  }
  // Of the data; nothing if it is no number or negative.
  std::optional<int64_t> size() const { return number(124, 12); }

  // Old programs summed signed bytes.
  bool checksum_fits() const {
    int64_t with_sign = 0, without = 0;
    for (int i = 0; i < kBlock; ++i) {
      const bool own = i >= 148 && i < 156;  // counts as spaces
      const int byte = own ? ' ' : std::to_integer<int>(block[static_cast<size_t>(i)]);
      without += byte;
      with_sign += static_cast<int8_t>(byte);
    }
    const std::optional<int64_t> stored = number(148, 8);
    return stored && (*stored == without || *stored == with_sign);
  }

 private:
  std::string_view field(size_t begin, size_t length) const {
    return {reinterpret_cast<const char*>(block.data()) + begin, length};
  }
  std::string_view text(size_t begin, size_t length) const {
    const std::string_view all = field(begin, length);
    return all.substr(0, std::min(all.find('\0'), length));
  }
  // Octal digits between spaces and zeros, or GNU's base 256, which starts with a byte of 0x80.
  std::optional<int64_t> number(size_t begin, size_t length) const {
    std::string_view digits = field(begin, length);
    if (static_cast<unsigned char>(digits[0]) >= 0x80) return base_256(digits);
    while (!digits.empty() && digits.front() == ' ') digits.remove_prefix(1);
    const size_t end = digits.find_first_not_of("01234567");
    if (end == 0 || digits.empty()) return {};
    if (end != std::string_view::npos && digits[end] != ' ' && digits[end] != '\0') return {};
    int64_t value = 0;  // at most 36 bits
    for (const char digit : digits.substr(0, end)) value = value * 8 + (digit - '0');
    return value;
  }
  static std::optional<int64_t> base_256(std::string_view bytes) {
    if (static_cast<unsigned char>(bytes[0]) != 0x80) return {};
    int64_t value = 0;
    for (const char byte : bytes.substr(1)) {
      if (value >> 55 != 0) return {};
      value = value << 8 | static_cast<unsigned char>(byte);
    }
    return value;
  }
};

std::optional<int64_t> decimal(std::string_view digits) {
  if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string_view::npos)
    return {};
  int64_t value = 0;
  for (const char digit : digits) value = value * 10 + (digit - '0');
  return value;
}

// Where the archive comes from, front to back.
class Input {
 public:
  virtual ~Input() = default;
  virtual std::vector<uint8_t> read_up_to(int64_t count) = 0;  // as many bytes as there are
  virtual int64_t skip(int64_t count) = 0;                     // how many there were
};

class MemoryInput final : public Input {
 public:
  MemoryInput(std::span<const std::byte> archive, const std::string& name) : reader_(archive, name) {}
  std::vector<uint8_t> read_up_to(int64_t count) override { return reader_.read_up_to(count); }
  int64_t skip(int64_t count) override { return reader_.skip(count); }

 private:
  ByteReader reader_;
};

class FileInput final : public Input {
 public:
  explicit FileInput(const InputFile& file) : file_(file) {}
  std::vector<uint8_t> read_up_to(int64_t count) override {
    std::vector<uint8_t> bytes(static_cast<size_t>(std::min(count, file_.size() - offset_)));
    file_.read_at(offset_, std::as_writable_bytes(std::span(bytes)));
    skip(count);
    return bytes;
  }
  int64_t skip(int64_t count) override {
    const int64_t skipped = std::min(count, file_.size() - offset_);
    offset_ += skipped;
    return skipped;
  }

 private:
  const InputFile& file_;
  int64_t offset_ = 0;
};

// What headers before the header of a member say about it.
struct Extensions {
  std::string gnu_name, pax_name;  // the latter wins
  std::optional<int64_t> pax_size;
};

}  // namespace

class TarReader::Archive {
 public:
  Archive(std::unique_ptr<Input> input, std::string name) : input_(std::move(input)), name_(std::move(name)) {}

  std::optional<TarMember> next() {
    skip_data();
    Extensions extensions;
    for (Header header; read_header(header);) {
      std::optional<TarMember> member = take(header, extensions);
      if (member) return member;
    }
    return {};
  }

  std::vector<uint8_t> read_data() {
    std::vector<uint8_t> data = read_exactly(std::exchange(data_, 0));
    return data;
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    throw Error(ExitCode::kBadData, name_ + ": byte " + std::to_string(offset_) + ": " + what);
  }
  [[noreturn]] void cut() const { bad("the archive is cut short: it has no end mark (a block of zeros)"); }

  std::vector<uint8_t> read_exactly(int64_t count) {
    std::vector<uint8_t> bytes = input_->read_up_to(count);
    offset_ += static_cast<int64_t>(bytes.size());
    if (static_cast<int64_t>(bytes.size()) < count) cut();
    return bytes;
  }

  void skip(int64_t count) {
    const int64_t skipped = input_->skip(count);
    offset_ += skipped;
    if (skipped < count) cut();
  }

  // What is left of the present member's data, and the padding behind it.
  void skip_data() {
    skip(std::exchange(data_, 0));
    skip(std::exchange(padding_, 0));
  }

  // False at the end of the archive.
  bool read_header(Header& header) {
    if (at_end_) return false;
    const std::vector<uint8_t> bytes = read_exactly(kBlock);
    std::memcpy(header.block.data(), bytes.data(), bytes.size());
    if (header.all_zero()) {
      at_end_ = true;
      expect_only_zeros();
      return false;
    }
    if (!header.checksum_fits())
      bad("the 512 bytes before it: expected the header of a tar member, found a checksum that does not fit");
    return true;
  }

  // Behind the end mark.  A second archive there would be lost in silence.
  void expect_only_zeros() {
    for (;;) {
      const std::vector<uint8_t> bytes = input_->read_up_to(int64_t{1} << 16);
      if (bytes.empty()) return;
      if (std::any_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte != 0; }))
        bad("expected nothing but zeros after the end of the archive, found something: a second archive?");
      offset_ += static_cast<int64_t>(bytes.size());
    }
  }

  // One header: of a regular file, of something that is passed over, or one that extends the next.
  std::optional<TarMember> take(const Header& header, Extensions& extensions) {
    switch (header.type()) {
      case 'L': extensions.gnu_name = read_text(header); return {};
      case 'K': read_text(header); return {};  // of a link, which is refused below
      case 'x': read_pax(read_text(header), extensions); return {};
      case 'g': read_global_pax(read_text(header)); return {};
      default: break;
    }
    const Extensions own = std::exchange(extensions, {});
    std::string name = own.pax_name.empty() ? own.gnu_name : own.pax_name;
    if (name.empty()) name = header.name();
    switch (header.type()) {
      case '0':
      case '7': return regular(std::move(name), header, own);
      case '\0':  // before POSIX a directory was a file whose name ends so
        if (name.ends_with('/')) return {};
        return regular(std::move(name), header, own);
      case '3':
      case '4':
      case '5':
      case '6':
      case 'V': return {};  // devices, directories, pipes, volume labels
      case '1':
      case '2':
        bad("member '" + name + "': expected a file, found a link (make the archive with --dereference" +
            " --hard-dereference)");
      default:
        bad("member '" + name + "': expected a file or directory, found a member of type '" + header.type() + "'");
    }
  }

  std::optional<TarMember> regular(std::string name, const Header& header, const Extensions& extensions) {
    if (name.empty() || name.find('\0') != std::string::npos) bad("expected the name of a member, found none");
    begin_data(extensions.pax_size ? extensions.pax_size : header.size(), "member '" + name + "'");
    return TarMember{std::move(name), offset_, data_};
  }

  void begin_data(std::optional<int64_t> size, const std::string& whose) {
    constexpr int64_t kMaxSize = int64_t{1} << 60;
    if (!size || *size > kMaxSize) bad(whose + ": expected a size, found something else");
    data_ = *size;
    padding_ = (kBlock - data_ % kBlock) % kBlock;
  }

  // The data of a header that extends the next one.
  std::string read_text(const Header& header) {
    begin_data(header.size(), "extension header");
    if (data_ > kMaxText)
      bad("expected a name or attributes of at most " + std::to_string(kMaxText) + " bytes, found " +
          std::to_string(data_));
    const std::vector<uint8_t> bytes = read_data();
    skip_data();
    std::string text(bytes.begin(), bytes.end());
    if (header.type() == 'L') text.resize(std::min(text.find('\0'), text.size()));
    return text;
  }

  // Calls take(key, value) for each record "length key=value\n"; the length counts all of it.
  template <class Take>
  void for_each_record(std::string_view text, Take take_record) const {
    while (!text.empty()) {
      const size_t space = std::min(text.find(' '), text.size());
      const std::optional<int64_t> length = decimal(text.substr(0, space));
      if (!length || *length > static_cast<int64_t>(text.size()) || *length < static_cast<int64_t>(space) + 3)
        bad("expected pax attributes ('length key=value'), found something else");
      const std::string_view record = text.substr(space + 1, static_cast<size_t>(*length) - space - 1);
      const size_t equals = record.find('=');
      if (record.back() != '\n' || equals == std::string_view::npos || equals == 0)
        bad("expected pax attributes ('length key=value'), found something else");
      take_record(record.substr(0, equals), record.substr(equals + 1, record.size() - equals - 2));
      text.remove_prefix(static_cast<size_t>(*length));
    }
  }

  void read_pax(const std::string& text, Extensions& extensions) const {
    for_each_record(text, [&](std::string_view key, std::string_view value) {
      if (key == "path") extensions.pax_name = value;
      if (key == "size") extensions.pax_size = size_of_pax(value);
      if (key.starts_with("GNU.sparse."))
        bad("expected a plain file, found a sparse one (make the archive without -S)");
    });
  }
  std::optional<int64_t> size_of_pax(std::string_view value) const {
    if (value.empty()) return {};  // back to what the header says
    const std::optional<int64_t> size = decimal(value);
    if (!size) bad("pax attribute size: expected a number, found '" + std::string(value) + "'");
    return size;
  }

  void read_global_pax(const std::string& text) const {
    for_each_record(text, [&](std::string_view key, std::string_view) {
      if (key == "path" || key == "size" || key.starts_with("GNU.sparse."))
        bad("expected the pax attribute " + std::string(key) + " of one member, found it for all");
    });
  }

  std::unique_ptr<Input> input_;
  const std::string name_;
  int64_t offset_ = 0;              // of input_
  int64_t data_ = 0, padding_ = 0;  // bytes of the present member that are not consumed yet
  bool at_end_ = false;
};

TarReader::TarReader(std::span<const std::byte> archive, const std::string& name)
    : archive_(std::make_unique<Archive>(std::make_unique<MemoryInput>(archive, name), name)) {}
TarReader::TarReader(const InputFile& file)
    : archive_(std::make_unique<Archive>(std::make_unique<FileInput>(file), file.path())) {}
TarReader::~TarReader() = default;

std::optional<TarMember> TarReader::next() { return archive_->next(); }
std::vector<uint8_t> TarReader::read() { return archive_->read_data(); }

std::vector<TarMember> index_tar(const std::string& path) {
  const InputFile file(path);
  std::array<std::byte, 2> magic;
  if (file.size() >= 2) {
    file.read_at(0, magic);
    if (starts_like_gzip(magic))
      throw Error(ExitCode::kBadData,
                  path + ": expected a tar archive to be read at any place, found a gzipped one: gunzip it first");
  }
  TarReader reader(file);
  std::vector<TarMember> members;
  while (std::optional<TarMember> member = reader.next()) members.push_back(std::move(*member));
  return members;
}

}  // namespace convoy
