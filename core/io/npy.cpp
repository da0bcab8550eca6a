#include "core/io/npy.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/io/dims.h"

namespace convoy {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are taken as they lie in memory");

constexpr std::array kTypes = {"|u1", "|i1", "|b1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"};

int64_t element_bytes(const std::string& type) { return type[2] - '0'; }

// The dict literal of a header: its three keys, in any order.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : rest_(text), name_(name) {}

  NpyHeader parse() {
    expect('{');
    while (!accept('}')) {
      read_entry();
      if (accept('}')) break;
      expect(',');
    }
    if (!rest_.empty()) fail("nothing after the dict");
    if (!type_ || !fortran_order_ || !dims_) fail("the keys descr, fortran_order and shape");
    if (*fortran_order_)
      bad_data(name_, "expected an array in C order, found Fortran order: save numpy.ascontiguousarray(x)");
    return {known_type(*type_), *dims_, 0};
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    bad_data(name_, "NPY header: expected " + expected + ", found '" + std::string(rest_.substr(0, 20)) + "'");
  }

  void skip_spaces() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n"), rest_.size())); }
  bool accept(std::string_view text) {
    skip_spaces();
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    skip_spaces();
    return true;
  }
  bool accept(char letter) { return accept(std::string_view(&letter, 1)); }
  void expect(char letter) {
    if (!accept(letter)) fail("'" + std::string(1, letter) + "'");
  }

  void read_entry() {
    const std::string key = read_string();
    expect(':');
    if (key == "descr" && !type_) {
      type_ = read_type();
    } else if (key == "fortran_order" && !fortran_order_) {
      fortran_order_ = read_bool();
    } else if (key == "shape" && !dims_) {
      dims_ = read_dims();
    } else {
      fail("each of the keys descr, fortran_order and shape once ('" + key + "' is another or comes twice) before");
    }
  }

  std::string read_string() {
    const char quote = rest_.empty() ? '\0' : rest_.front();
    const size_t end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
    if (end == std::string_view::npos) fail("a string");
    const std::string_view text = rest_.substr(1, end - 1);
    if (text.find('\\') != std::string_view::npos) fail("a string without backslashes");
    rest_.remove_prefix(end + 1);
    return std::string(text);
  }

  std::string read_type() {
    if (rest_.starts_with('[')) fail("elements that are numbers, not records");
    return read_string();
  }

  bool read_bool() {
    if (accept("True")) return true;
    if (!accept("False")) fail("True or False");
    return false;
  }

  std::vector<int64_t> read_dims() {
    std::vector<int64_t> dims;
    expect('(');
    while (!accept(')')) {
      dims.push_back(read_dim());
      const bool comma = accept(',');
      if (!comma && dims.size() == 1) fail("',' after the only dimension");
      if (!comma && !rest_.starts_with(')')) fail("',' or ')'");
    }
    return dims;
  }

  int64_t read_dim() {
    int64_t dim = 0;
    const std::string_view begin = rest_;
    for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; rest_.remove_prefix(1))
      if (__builtin_mul_overflow(dim, 10, &dim) || __builtin_add_overflow(dim, rest_.front() - '0', &dim))
        fail("dimensions of less than 2^63");
    if (begin.size() == rest_.size()) fail("a dimension");
    accept('L');  // Python 2 wrote some so
    return dim;
  }

  std::string known_type(std::string type) const {
    if (type.size() == 3 && type[2] == '1' && (type[0] == '<' || type[0] == '>' || type[0] == '=')) type[0] = '|';
    if (std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end()) return type;
    std::string known;
    for (const char* one : kTypes) known += (known.empty() ? "" : " ") + std::string(one);
    const char* hint = type.starts_with('>')    ? ": big-endian, save x.astype(x.dtype.newbyteorder('<'))"
                       : type.starts_with("|O") ? ": Python objects, save numbers of one type"
                                                : "";
    bad_data(name_, "expected elements of one of the types " + known + ", found " + type + hint);
  }

  std::string_view rest_;
  const std::string& name_;
  std::optional<std::string> type_;
  std::optional<bool> fortran_order_;
  std::optional<std::vector<int64_t>> dims_;
};

template <class T>
std::vector<int32_t> to_int32(std::span<const uint8_t> bytes, const std::string& name) {
  std::vector<int32_t> integers(bytes.size() / sizeof(T));
  for (size_t i = 0; i < integers.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    if (__builtin_add_overflow(value, T{0}, &integers[i]))  // a conversion that says whether it fits
      bad_data(name, "element " + std::to_string(i) + ": expected a number of 32 bits, found " + std::to_string(value));
  }
  return integers;
}

}  // namespace

NpyHeader parse_npy_header(std::span<const std::byte> beginning, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(beginning.data()), beginning.size());
  if (!text.starts_with("\x93NUMPY"))
    bad_data(name, "expected an NPY file (first bytes \\x93NUMPY), found something else");
  const int version = text.size() < 8 ? 0 : text[6];
  if (version < 1 || version > 3) bad_data(name, "expected NPY version 1 to 3, found " + std::to_string(version));
  const size_t length_bytes = version == 1 ? 2 : 4, begin = 8 + length_bytes;
  uint32_t length = 0;
  if (text.size() >= begin) std::memcpy(&length, text.data() + 8, length_bytes);
  if (static_cast<int64_t>(begin) + length > kMaxNpyHeaderBytes)
    bad_data(name, "expected an NPY header of at most " + std::to_string(kMaxNpyHeaderBytes) + " bytes, found one of " +
                       std::to_string(length));
  if (text.size() < begin || text.size() - begin < length)
    bad_data(name, "expected an NPY header, found the end of the file");
  NpyHeader header = HeaderParser(text.substr(begin, length), name).parse();
  header.data_offset = static_cast<int64_t>(begin + length);
  if (!dims_product(element_bytes(header.type), header.dims))
    bad_data(name, "an array of " + dims_text(header.dims) + " is larger than any file");
  return header;
}

NpyArray parse_npy(std::vector<uint8_t> file, const std::string& name) {
  NpyHeader header = parse_npy_header(std::as_bytes(std::span(file)), name);
  const int64_t expected = dims_product(element_bytes(header.type), header.dims).value();
  const int64_t found = static_cast<int64_t>(file.size()) - header.data_offset;
  if (found != expected)
    bad_data(name, "expected " + std::to_string(expected) + " bytes of " + dims_text(header.dims) + " " + header.type +
                       ", found " + std::to_string(found));
  file.erase(file.begin(), file.begin() + header.data_offset);
  return {std::move(header.type), std::move(header.dims), std::move(file)};
}

std::vector<int32_t> npy_integers(const NpyArray& array, const std::string& name) {
  const std::string& type = array.type;
  if (type == "|u1") return to_int32<uint8_t>(array.bytes, name);
  if (type == "|i1") return to_int32<int8_t>(array.bytes, name);
  if (type == "<u2") return to_int32<uint16_t>(array.bytes, name);
  if (type == "<i2") return to_int32<int16_t>(array.bytes, name);
  if (type == "<u4") return to_int32<uint32_t>(array.bytes, name);
  if (type == "<i4") return to_int32<int32_t>(array.bytes, name);
  if (type == "<u8") return to_int32<uint64_t>(array.bytes, name);
  if (type == "<i8") return to_int32<int64_t>(array.bytes, name);
  bad_data(name, "expected whole numbers, found elements of type " + type + ": save x.astype('int64')");
}

void require_npy_pixels(const std::string& type, const std::string& name) {
  if (type == "|u1") return;
  bad_data(name, "expected pixels of 0 to 255 in 8 bits (|u1), found elements of type " + type +
                     ": save x.astype('uint8'), or (x * 255).round().astype('uint8') where they are 0 to 1");
}

}  // namespace convoy
