// Writes a packed file, front to back; docs/packed-format.md.
//
// Until finish() has synced it, nothing is at PATH, or what was there; see PendingFile.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.h"
#include "core/data/packed_format.h"

namespace convoy {

class PackedWriter {
 public:
  // `files` must outlive the writer, which removes what it wrote where it was not finished.
  // Throws Error(kCannotCreate, …).
  PackedWriter(FileSystem& files, const std::string& path, std::vector<std::string> class_names);

  // Throws Error: kIo, kBadData for a name with NUL in it.  Requires: 0 <= label < classes, image below 4 GiB.
  void add(std::string_view name, int label, std::span<const std::byte> image);
  void finish();

  int64_t bytes() const { return static_cast<int64_t>(bytes_); }  // written so far

 private:
  void write(std::span<const std::byte> bytes);

  const std::string path_;
  PendingFile pending_;
  const std::vector<std::string> class_names_;
  const std::unique_ptr<OutputFile> file_;
  uint64_t bytes_ = 0;
  std::vector<packed::Record> records_;
  std::string text_;
};

}  // namespace convoy
