// Zip archives, read by member: stored and deflated, zip64.  PKWARE APPNOTE.TXT, sections 4.3 to 4.5.
//
// Own and small, not libarchive: that would bring libxml2 and ICU into the relocatable bundle.
// Strict: the central directory decides, and what disagrees with it is refused, as are encrypted and split archives,
// members that overlap, and sizes that no file of its length can be trusted to hold.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/file.h"

namespace convoy {

struct ZipMember {
  std::string name;
  bool deflated = false;
  uint32_t crc = 0;
  int64_t size = 0, packed_size = 0;  // bytes
  int64_t begin = 0, limit = 0;       // where in the file it lies, header and data: from begin, not beyond limit
};

// Threads: read and read_beginning may be called by any thread at any time.
class ZipArchive {
 public:
  // Throws Error(kNoInput, kBadData).
  explicit ZipArchive(const std::string& path);

  const std::vector<ZipMember>& members() const { return members_; }  // in the order in which they lie in the file

  // All of a member, its checksum verified; or no more than the first max_bytes <= 65536, not verified.
  // Throw Error(kBadData) naming archive and member, also where there is none of that name.
  std::vector<uint8_t> read(const std::string& name) const;
  std::vector<uint8_t> read_beginning(const std::string& name, int64_t max_bytes) const;

 private:
  const ZipMember& find(const std::string& name) const;
  std::vector<uint8_t> packed(const ZipMember& member, int64_t max_bytes) const;

  InputFile file_;
  std::vector<ZipMember> members_;
};

}  // namespace convoy
