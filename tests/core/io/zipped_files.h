// The files of an archive beside the tests, unpacked.
#pragma once

#include <string>

#include "core/io/zip.h"
#include "tests/core/base/testing.h"

namespace convoy {

class ZippedFiles {
 public:
  explicit ZippedFiles(const std::string& archive) {
    const ZipArchive zip(archive);
    for (const ZipMember& member : zip.members()) {
      const std::vector<uint8_t> bytes = zip.read(member.name);
      put_file(temp_ / member.name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  }
  std::string operator/(const std::string& name) const { return temp_ / name; }

 private:
  TempDirectory temp_;
};

}  // namespace convoy
