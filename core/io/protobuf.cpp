#include "core/io/protobuf.h"

#include <cstring>
#include <limits>

#include "core/base/error.h"
#include "core/base/utf8.h"

namespace convoy {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed numbers are taken as they lie in memory");

constexpr int kMaxDepth = 32;
constexpr uint64_t kMaxField = (1U << 29) - 1;

template <class T>
T number(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

}  // namespace

// ---- ProtoReader

ProtoReader::ProtoReader(std::span<const std::byte> message, const std::string& where, int depth)
    : rest_(message), where_(&where), depth_(depth) {
  if (depth > kMaxDepth) fail("messages are nested more than " + std::to_string(kMaxDepth) + " deep");
}

void ProtoReader::fail(const std::string& what) const {
  bad_data(*where_, "protobuf field " + std::to_string(field_) + ": " + what);
}

uint64_t ProtoReader::take_varint(std::span<const std::byte>& from) const {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (from.empty()) fail("cut short in a number");
    const auto byte = static_cast<uint8_t>(from.front());
    from = from.subspan(1);
    if (shift == 63 && byte > 1) break;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail("a number of more than 64 bits");
}

bool ProtoReader::next() {
  if (rest_.empty()) return false;
  const uint64_t tag = take_varint(rest_), field = tag >> 3;
  if (field == 0 || field > kMaxField) fail("followed by a field number out of range");
  field_ = static_cast<int>(field);
  uint64_t length = 0;
  switch (tag & 7) {
    case 0:
      wire_ = Wire::kVarint;
      number_ = take_varint(rest_);
      return true;
    case 1:
      wire_ = Wire::k64;
      length = 8;
      break;
    case 2:
      wire_ = Wire::kBytes;
      length = take_varint(rest_);
      break;
    case 5:
      wire_ = Wire::k32;
      length = 4;
      break;
    default: fail("wire type " + std::to_string(tag & 7) + ", which is not supported");
  }
  if (length > rest_.size())
    fail("expected " + std::to_string(length) + " bytes, found " + std::to_string(rest_.size()) +
         ": cut short, or no protobuf");
  value_ = rest_.first(length);
  rest_ = rest_.subspan(length);
  return true;
}

void ProtoReader::require(Wire wire) const {
  if (wire_ != wire)
    fail("expected wire type " + std::to_string(static_cast<int>(wire)) + ", found " +
         std::to_string(static_cast<int>(wire_)));
}

int64_t ProtoReader::integer() const {
  require(Wire::kVarint);
  return static_cast<int64_t>(number_);
}

float ProtoReader::f32() const {
  require(Wire::k32);
  return number<float>(value_);
}

double ProtoReader::f64() const {
  require(Wire::k64);
  return number<double>(value_);
}

std::span<const std::byte> ProtoReader::bytes() const {
  require(Wire::kBytes);
  return value_;
}

std::string ProtoReader::text() const {
  const std::span<const std::byte> all = bytes();
  const std::string_view text(reinterpret_cast<const char*>(all.data()), all.size());
  for (std::string_view rest = text; !rest.empty();) {
    const size_t length = utf8_length(rest);
    if (length == 0) fail("expected text in UTF-8");
    rest.remove_prefix(length);
  }
  return std::string(text);
}

ProtoReader ProtoReader::message() const { return {bytes(), *where_, depth_ + 1}; }

void ProtoReader::append(std::vector<int64_t>& list) const {
  if (wire_ == Wire::kVarint) {
    list.push_back(integer());
    return;
  }
  std::span<const std::byte> rest = bytes();
  size_t count = 0;  // each number ends in a byte below 0x80
  for (const std::byte byte : rest) count += static_cast<uint8_t>(byte) < 0x80;
  if (list.empty()) list.reserve(count);
  while (!rest.empty()) list.push_back(static_cast<int64_t>(take_varint(rest)));
}

template <class T>
void ProtoReader::append_fixed(Wire wire, std::vector<T>& list) const {
  if (wire_ != Wire::kBytes) require(wire);
  if (value_.size() % sizeof(T) != 0) fail("a packed list of " + std::to_string(value_.size()) + " bytes");
  const size_t begin = list.size();
  list.resize(begin + value_.size() / sizeof(T));
  if (!value_.empty()) std::memcpy(list.data() + begin, value_.data(), value_.size());
}

void ProtoReader::append(std::vector<float>& list) const { append_fixed(Wire::k32, list); }
void ProtoReader::append(std::vector<double>& list) const { append_fixed(Wire::k64, list); }

// ---- ProtoWriter

void ProtoWriter::varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
  out_ += static_cast<char>(value);
}

void ProtoWriter::integer(int field, int64_t value) {
  tag(field, 0);
  varint(static_cast<uint64_t>(value));
}

void ProtoWriter::f32(int field, float value) {
  tag(field, 5);
  raw(&value, sizeof value);
}

void ProtoWriter::f64(int field, double value) {
  tag(field, 1);
  raw(&value, sizeof value);
}

void ProtoWriter::bytes(int field, std::span<const std::byte> value) {
  tag(field, 2);
  varint(value.size());
  raw(value.data(), value.size());
}

void ProtoWriter::text(int field, std::string_view value) { bytes(field, std::as_bytes(std::span(value))); }

void ProtoWriter::packed(int field, std::span<const int64_t> list) {
  message(field, [&] {
    for (const int64_t value : list) varint(static_cast<uint64_t>(value));
  });
}

void ProtoWriter::packed(int field, std::span<const float> list) { bytes(field, std::as_bytes(list)); }

// The length goes in front of what is already there: one move of memory for each level, and no sizes to count first.
void ProtoWriter::close(int field, size_t begin) {
  ProtoWriter head;
  head.tag(field, 2);
  head.varint(out_.size() - begin);
  out_.insert(begin, head.out_);
}

}  // namespace convoy
