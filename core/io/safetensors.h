// The safetensors format: named tensors in one file.  https://github.com/huggingface/safetensors
//
// u64 little-endian header length · JSON header, space-padded so that data starts at a multiple of 8 · data.
// The reader is for files from anywhere: header of at most 100 MB, tensors that fill the data exactly (no hole, no
// overlap), sizes that agree with shape and type, no name twice.  Nothing in the header is trusted before it is
// checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.h"
#include "core/device/types.h"

namespace convoy {

// Element types that a file may hold.  One more than a plan computes with: foreign weights bring int64 counters.
enum class StoredType : uint8_t { kF32, kBF16, kF16, kI32, kU8, kI64 };

int64_t size_of(StoredType type);
const char* to_string(StoredType type);  // "F32", as in the file
StoredType stored_type(Dtype dtype);

// A view.  `dims` may be of any rank; empty is a scalar.  Elements are row-major, little-endian and, in a file by
// somebody else, not always aligned: copy, do not cast.
struct NamedTensor {
  std::string name;
  StoredType type = StoredType::kF32;
  std::vector<int64_t> dims;
  std::span<const std::byte> bytes;
};

class SafetensorsFile {
 public:
  // Takes the contents of a file; `name` is for messages.  Throws Error(kBadData) naming file and tensor.
  SafetensorsFile(std::vector<std::byte> contents, std::string name);
  // Reads a file of at most max_bytes.
  static SafetensorsFile open(const std::string& path, int64_t max_bytes = int64_t{1} << 40);

  SafetensorsFile(SafetensorsFile&&) = default;  // views stay valid: the contents do not move
  SafetensorsFile& operator=(SafetensorsFile&&) = default;

  const std::string& name() const { return name_; }
  const std::vector<NamedTensor>& tensors() const { return tensors_; }  // by name; views of this object's memory
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  const NamedTensor* find(std::string_view name) const;  // nullptr if there is none
  // Throws Error(kBadData) saying what was expected if there is no such tensor, or one of another type or shape.
  const NamedTensor& get(std::string_view name, StoredType type, std::span<const int64_t> dims) const;

 private:
  std::string name_;
  std::vector<std::byte> contents_;
  std::vector<NamedTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

struct FileDigest {
  int64_t bytes = 0;
  std::string xxh3_128;  // hash128_hex of the whole file
  friend bool operator==(const FileDigest&, const FileDigest&) = default;
};

// Writes and syncs; returns what is now in the file.  Not atomic by itself.
// Requires: different names, none "__metadata__", valid UTF-8, and bytes that agree with dims and type.
FileDigest write_safetensors(FileSystem& files, const std::string& path, std::vector<NamedTensor> tensors,
                             const std::map<std::string, std::string>& metadata);

}  // namespace convoy
