// What Convoy and its program convoy-h5 say to each other, in both directions: the contents of one HDF5 file.
//
//   u32 0x35487643 ("CvH5") · u32 version · messages, each one byte and its fields:
//     G group     text path · u32 n · n attributes: text name, u8 list, u32 n, n texts
//     D dataset   text path · u32 rank <= 32 · i64 dims · pieces until all elements are said: u64 n · n f32, row-major;
//                 a piece of none means that an error follows in their place
//     E error     u32 exit code · text what, without the name of the file; nothing follows
//     Z end       u64 number of G and D before it; nothing follows
//   text: u32 bytes · UTF-8 without NUL.  Numbers are little-endian.
//
// The root comes first, a group before what is in it, no path twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>

#include "core/io/hdf5.h"

namespace convoy {

// ---- Speaking

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;  // all of them
};

// Says what it is called with; small things are gathered, and said by flush(), end() or error() at the latest.
class Hdf5Encoder {
 public:
  explicit Hdf5Encoder(ByteSink& sink);
  void group(const Hdf5Group& group);
  void dataset(const std::string& path, std::span<const int64_t> dims);  // then elements() until all are said
  void elements(std::span<const float> values);
  void end();
  void error(int exit_code, const std::string& what);
  void flush();

 private:
  void number(auto value);
  void text(const std::string& text);

  ByteSink& sink_;
  std::vector<std::byte> pending_;
  uint64_t objects_ = 0;
  int64_t elements_left_ = 0;  // of the dataset that is being said
};

// ---- Listening

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual void read(std::span<std::byte> out) = 0;  // fills it, or throws Error
};

class BytesSource final : public ByteSource {
 public:
  BytesSource(std::span<const std::byte> bytes, std::string name) : rest_(bytes), name_(std::move(name)) {}
  void read(std::span<std::byte> out) override;  // throws Error(kBadData) where there are no more bytes

 private:
  std::span<const std::byte> rest_;
  std::string name_;
};

// Trusts nothing that it hears.  Memory stays below what a file of `file_bytes` can honestly hold (see
// plausible_inflation), and below about twice of what was really heard of a dataset that is larger than such a file.
class Hdf5Decoder {
 public:
  // `name`, of the file, begins all messages.
  Hdf5Decoder(ByteSource& source, int64_t file_bytes, std::string name);

  // The next object, or nothing at the end.  Throws Error(kBadData) for what is not as above, and the error that the
  // other side tells of: kUnavailable or kBadData.
  std::optional<std::variant<Hdf5Group, HostTensor>> next();

 private:
  template <class T>
  T number();
  std::string text();
  std::string path();
  Hdf5Group group();
  HostTensor dataset();
  void elements(HostTensor& tensor, int64_t count);
  [[noreturn]] void error();
  [[noreturn]] void bad(const std::string& what) const;

  ByteSource& source_;
  const int64_t file_bytes_;
  const std::string name_;
  bool begun_ = false;
  uint64_t objects_ = 0;
  int64_t text_bytes_ = 0, element_bytes_ = 0;  // of all so far
  std::set<std::string> groups_, datasets_;     // paths
};

// All of it.
Hdf5File decode_hdf5(ByteSource& source, int64_t file_bytes, const std::string& name);

}  // namespace convoy
