#include "core/io/hdf5_stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/io/byte_reader.h"
#include "core/io/dims.h"

namespace convoy {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are said as they lie in memory");

constexpr uint32_t kMagic = 0x35487643, kVersion = 2;
constexpr uint32_t kMaxRank = 32;  // HDF5's own
constexpr uint64_t kMaxObjects = 100'000;
constexpr size_t kMaxPath = 4096, kMaxMessage = 4096;  // bytes
constexpr int64_t kFreeText = int64_t{1} << 20;        // bytes that a file of any size may have
constexpr size_t kGather = size_t{64} << 10, kStep = size_t{1} << 20;

bool is_clean(const std::string& text) {
  for (std::string_view rest = text; !rest.empty();) {
    const size_t length = rest.front() == '\0' ? 0 : utf8_length(rest);
    if (length == 0) return false;
    rest.remove_prefix(length);
  }
  return true;
}

void append(std::vector<std::byte>& to, std::span<const std::byte> bytes) {
  const size_t begin = to.size();
  to.resize(begin + bytes.size());
  if (!bytes.empty()) std::memcpy(to.data() + begin, bytes.data(), bytes.size());
}

bool is_control(char letter) { return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f; }

}  // namespace

Hdf5Encoder::Hdf5Encoder(ByteSink& sink) : sink_(sink) {
  number(kMagic);
  number(kVersion);
}

void Hdf5Encoder::number(auto value) { append(pending_, std::as_bytes(std::span(&value, 1))); }

void Hdf5Encoder::text(const std::string& text) {
  CHECK(text.size() < UINT32_MAX);
  number(static_cast<uint32_t>(text.size()));
  append(pending_, std::as_bytes(std::span(text)));
  if (pending_.size() >= kGather) flush();
}

void Hdf5Encoder::group(const Hdf5Group& group) {
  number('G');
  text(group.path);
  number(static_cast<uint32_t>(group.attributes.size()));
  for (const Hdf5Attribute& attribute : group.attributes) {
    text(attribute.name);
    number(static_cast<uint8_t>(attribute.list));
    number(static_cast<uint32_t>(attribute.texts.size()));
    for (const std::string& one : attribute.texts) text(one);
  }
  ++objects_;
}

void Hdf5Encoder::dataset(const std::string& path, std::span<const int64_t> dims) {
  number('D');
  text(path);
  number(static_cast<uint32_t>(dims.size()));
  for (const int64_t dim : dims) number(dim);
  elements_left_ = dims_product(1, dims).value_or(0);
  ++objects_;
}

void Hdf5Encoder::elements(std::span<const float> values) {
  if (values.empty()) return;
  elements_left_ -= std::ssize(values);
  number(uint64_t{values.size()});
  const auto bytes = std::as_bytes(values);
  if (pending_.size() + bytes.size() <= kGather) {
    append(pending_, bytes);
    return;
  }
  flush();
  sink_.write(bytes);
}

void Hdf5Encoder::end() {
  number('Z');
  number(objects_);
  flush();
}

void Hdf5Encoder::error(int exit_code, const std::string& what) {
  if (elements_left_ > 0) number(uint64_t{0});
  number('E');
  number(static_cast<uint32_t>(exit_code));
  text(what.substr(0, kMaxMessage));
  flush();
}

void Hdf5Encoder::flush() {
  sink_.write(pending_);
  pending_.clear();
}

void BytesSource::read(std::span<std::byte> out) {
  if (rest_.size() < out.size()) bad_data(name_, "convoy-h5 ended in the middle of what it said");
  std::memcpy(out.data(), rest_.data(), out.size());
  rest_ = rest_.subspan(out.size());
}

Hdf5Decoder::Hdf5Decoder(ByteSource& source, int64_t file_bytes, std::string name)
    : source_(source), file_bytes_(file_bytes), name_(std::move(name)) {}

void Hdf5Decoder::bad(const std::string& what) const { bad_data(name_, "convoy-h5 said nonsense: " + what); }

template <class T>
T Hdf5Decoder::number() {
  T value;
  source_.read(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

// What an honest file has of text lies in it at least once, in memory with the cost of an object.
std::string Hdf5Decoder::text() {
  const auto bytes = number<uint32_t>();
  text_bytes_ += int64_t{bytes} + static_cast<int64_t>(sizeof(std::string));
  if (text_bytes_ - kFreeText > file_bytes_ && (text_bytes_ - kFreeText) / 2 > file_bytes_)
    bad("more text than a file of " + std::to_string(file_bytes_) + " bytes holds");
  std::string text(bytes, '\0');
  source_.read(std::as_writable_bytes(std::span(text)));
  if (!is_clean(text)) bad_data(name_, "expected names and attributes in UTF-8, found other bytes");
  return text;
}

// One that was not there before, in a group that was.
std::string Hdf5Decoder::path() {
  std::string path = text();
  if (path.size() > kMaxPath || !path.starts_with('/') || std::ranges::any_of(path, is_control))
    bad_data(name_, "expected names of objects of at most " + std::to_string(kMaxPath) +
                        " bytes without control characters, found another");
  const size_t slash = path.rfind('/');
  const std::string above = slash == 0 ? "/" : path.substr(0, slash);
  const bool is_root = path == "/";
  if (is_root ? objects_ != 0 : !groups_.contains(above) || path.ends_with('/'))
    bad("object " + path + " out of order");
  if (groups_.contains(path) || datasets_.contains(path)) bad("object " + path + " twice");
  if (++objects_ > kMaxObjects) bad_data(name_, "more than " + std::to_string(kMaxObjects) + " objects");
  return path;
}

Hdf5Group Hdf5Decoder::group() {
  Hdf5Group group;
  group.path = path();
  groups_.insert(group.path);
  for (auto left = number<uint32_t>(); left > 0; --left) {
    Hdf5Attribute attribute;
    attribute.name = text();
    attribute.list = number<uint8_t>() != 0;
    const auto count = number<uint32_t>();
    if (!attribute.list && count != 1) bad(group.path + ": attribute of " + std::to_string(count) + " texts, not one");
    for (uint32_t i = 0; i < count; ++i) attribute.texts.push_back(text());
    group.attributes.push_back(std::move(attribute));
  }
  return group;
}

HostTensor Hdf5Decoder::dataset() {
  HostTensor tensor;
  tensor.name = path();
  if (tensor.name == "/") bad("a dataset as root");
  datasets_.insert(tensor.name);
  const auto rank = number<uint32_t>();
  if (rank > kMaxRank) bad(tensor.name + ": rank " + std::to_string(rank));
  for (uint32_t i = 0; i < rank; ++i) {
    tensor.dims.push_back(number<int64_t>());
    if (tensor.dims.back() < 0) bad(tensor.name + ": a negative dimension");
  }
  const std::optional<int64_t> bytes = dims_product(sizeof(float), tensor.dims);
  if (!bytes || *bytes > INT64_MAX - element_bytes_ || !plausible_inflation(file_bytes_, element_bytes_ + *bytes))
    bad_data(name_, tensor.name + ": " + std::to_string(file_bytes_) + " bytes of file cannot be trusted to hold " +
                        dims_text(tensor.dims) + " numbers more");
  element_bytes_ += *bytes;
  elements(tensor, *bytes / static_cast<int64_t>(sizeof(float)));
  return tensor;
}

void Hdf5Decoder::elements(HostTensor& tensor, int64_t count) {
  std::vector<float>& values = tensor.values;
  const auto all = static_cast<size_t>(count);
  if (element_bytes_ <= file_bytes_) values.reserve(all);  // else, memory follows what arrives
  uint64_t piece = 0;                                      // what is left of it
  while (values.size() < all) {
    if (piece == 0) piece = number<uint64_t>();
    if (piece == 0 && number<uint8_t>() == 'E') error();
    if (piece == 0 || piece > all - values.size()) bad(tensor.name + ": elements in other pieces than there are");
    const size_t begin = values.size(), step = std::min(kStep / sizeof(float), piece);
    if (values.capacity() < begin + step) values.reserve(std::min(all, 2 * begin + step));
    values.resize(begin + step);
    source_.read(std::as_writable_bytes(std::span(values).subspan(begin)));
    piece -= step;
  }
}

void Hdf5Decoder::error() {
  const auto code = number<uint32_t>();
  const auto bytes = number<uint32_t>();
  if (bytes > kMaxMessage) bad("an error of " + std::to_string(bytes) + " bytes");
  std::string what(bytes, '\0');
  source_.read(std::as_writable_bytes(std::span(what)));
  if (!is_clean(what)) what = "an error in other than UTF-8";
  std::ranges::replace_if(what, is_control, '?');
  const bool unavailable = code == static_cast<uint32_t>(ExitCode::kUnavailable);
  throw Error(unavailable ? ExitCode::kUnavailable : ExitCode::kBadData, name_ + ": " + what);
}

std::optional<std::variant<Hdf5Group, HostTensor>> Hdf5Decoder::next() {
  if (!std::exchange(begun_, true)) {
    if (number<uint32_t>() != kMagic) bad("not the beginning that was expected");
    const auto version = number<uint32_t>();
    if (version != kVersion)
      bad("version " + std::to_string(version) + " of its language, expected " + std::to_string(kVersion));
  }
  switch (const auto kind = number<uint8_t>()) {
    case 'G': return group();
    case 'D': return dataset();
    case 'E': error();
    case 'Z': {
      const auto said = number<uint64_t>();
      if (said != objects_ || said == 0)
        bad("an end after " + std::to_string(objects_) + " objects instead of " + std::to_string(said));
      return {};
    }
    default: bad("message " + std::to_string(kind));
  }
}

Hdf5File decode_hdf5(ByteSource& source, int64_t file_bytes, const std::string& name) {
  Hdf5Decoder decoder(source, file_bytes, name);
  Hdf5File file;
  file.path = name;
  while (auto object = decoder.next()) {
    if (auto* group = std::get_if<Hdf5Group>(&*object)) {
      file.groups.push_back(std::move(*group));
    } else {
      file.datasets.push_back(std::move(std::get<HostTensor>(*object)));
    }
  }
  return file;
}

}  // namespace convoy
