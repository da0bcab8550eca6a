// Writes a packed file, front to back; docs/packed-format.md.
//
// It is PATH.tmp until finish() has synced it: whatever happens before, nothing is at PATH, or what was there.
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
  // `files` must outlive the writer.  Throws Error(kCannotCreate, …).
  PackedWriter(FileSystem& files, const std::string& path, std::vector<std::string> class_names);
  ~PackedWriter();  // without finish(): removes what was written
  PackedWriter(const PackedWriter&) = delete;
  PackedWriter& operator=(const PackedWriter&) = delete;

  // Throws Error: kIo, kBadData for a name with NUL in it.  Requires: 0 <= label < classes, image below 4 GiB.
  void add(std::string_view name, int label, std::span<const std::byte> image);
  void finish();

  int64_t bytes() const { return static_cast<int64_t>(bytes_); }  // written so far

 private:
  PackedWriter(FileSystem& files, const std::string& path, std::vector<std::string> class_names,
               std::unique_ptr<OutputFile> temporary);
  void write(std::span<const std::byte> bytes);

  FileSystem& files_;
  const std::string path_, temporary_;
  const std::vector<std::string> class_names_;
  std::unique_ptr<OutputFile> file_;  // null once it is finished
  uint64_t bytes_ = 0;
  std::vector<packed::Record> records_;
  std::string text_;
};

}  // namespace convoy
