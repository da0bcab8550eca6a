// The wire format of Protocol Buffers: fields of a message, read and written by number.
// https://protobuf.dev/programming-guides/encoding
//
// Enough for ONNX and TensorBoard: varints, fixed 32 and 64 bits, strings, messages, packed and unpacked lists.  What a
// field means is up to the caller, who looks at its number; fields that nobody asks for are skipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace convoy {

// Reads one message, front to back, out of memory that must stay:
//
//   while (reader.next()) {
//     switch (reader.field()) {
//       case 1: version = reader.integer(); break;
//       case 7: read_graph(reader.message()); break;
//     }
//   }
//
// Throws Error(kBadData) that begins with `where` and names the field: cut short, of another wire type than asked for,
// groups (which nothing writes any more), messages more than 32 deep.
class ProtoReader {
 public:
  // `where` must outlive the reader.
  ProtoReader(std::span<const std::byte> message, const std::string& where) : ProtoReader(message, where, 0) {}

  bool next();  // to the next field; false behind the last one
  int field() const { return field_; }

  // The value of this field.
  int64_t integer() const;  // int32, int64, uint64, bool and enum; negative numbers are two's complement
  float f32() const;
  double f64() const;
  std::span<const std::byte> bytes() const;
  std::string text() const;  // checked to be UTF-8
  ProtoReader message() const;

  // Appends what is in this field: one element, or a packed list of them.
  void append(std::vector<int64_t>& list) const;
  void append(std::vector<float>& list) const;
  void append(std::vector<double>& list) const;

 private:
  enum class Wire : uint8_t { kVarint = 0, k64 = 1, kBytes = 2, k32 = 5 };

  ProtoReader(std::span<const std::byte> message, const std::string& where, int depth);
  [[noreturn]] void fail(const std::string& what) const;
  void require(Wire wire) const;
  uint64_t take_varint(std::span<const std::byte>& from) const;
  template <class T>
  void append_fixed(Wire wire, std::vector<T>& list) const;

  std::span<const std::byte> rest_;
  const std::string* where_;
  int depth_ = 0;
  int field_ = 0;
  Wire wire_ = Wire::kVarint;
  uint64_t number_ = 0;               // of a varint
  std::span<const std::byte> value_;  // of the others
};

// Writes one message, and those inside it, into one string.
class ProtoWriter {
 public:
  void integer(int field, int64_t value);
  void f32(int field, float value);
  void f64(int field, double value);
  void bytes(int field, std::span<const std::byte> value);
  void text(int field, std::string_view value);
  void packed(int field, std::span<const int64_t> list);
  void packed(int field, std::span<const float> list);

  // What `write` writes becomes a message in this field.
  template <class Write>
  void message(int field, const Write& write) {
    const size_t begin = out_.size();
    write();
    close(field, begin);
  }

  std::string take() { return std::move(out_); }

 private:
  void varint(uint64_t value);
  void tag(int field, int wire) { varint(static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire)); }
  void raw(const void* data, size_t bytes) { out_.append(static_cast<const char*>(data), bytes); }
  void close(int field, size_t begin);

  std::string out_;
};

}  // namespace convoy
