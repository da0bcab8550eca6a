// Zip archives of stored members, as Keras writes them.  PKWARE APPNOTE.TXT, sections 4.3 to 4.5; no zip64: an archive
// of less than 4 GiB.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/file.h"

namespace convoy {

class ZipWriter {
 public:
  // `file` must outlive it, and is to be synced and closed by its owner.
  ZipWriter(OutputFile& file, std::string name) : file_(file), name_(std::move(name)) {}

  // Throws Error(kCannotCreate) for an archive that becomes too large.  Requires: a name that is new.
  void add(const std::string& member, std::span<const uint8_t> contents);
  void finish();  // the directory; once, last

 private:
  struct Entry {
    std::string name;
    uint32_t crc = 0, size = 0, offset = 0;
  };
  void write(const std::string& bytes);
  void require_room(uint64_t bytes) const;

  OutputFile& file_;
  std::string name_;  // of the archive, for messages
  std::vector<Entry> entries_;
  uint64_t position_ = 0;
};

}  // namespace convoy
