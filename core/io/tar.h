// Tar archives: ustar, pax (path and size) and GNU (long names, sizes in base 256).  POSIX.1-2017, pax, "EXTENDED
// DESCRIPTION"; GNU tar manual, "Basic Tar Format".
//
// Strict, so that no sample goes missing in silence: checksums of headers are verified; a cut archive, one without
// the zeros at its end, or with something behind them is refused, and so are links and sparse files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/file.h"

namespace convoy {

// A regular file in an archive.
struct TarMember {
  std::string name;              // as stored: "./a/b.jpg" stays so
  int64_t offset = 0, size = 0;  // of its data, in bytes from the start of the (inflated) archive
};

// Front to back through an archive.  All methods throw Error(kBadData) naming it.
class TarReader {
 public:
  // In memory, perhaps gzipped; it must outlive the reader.  `name` is for messages.
  TarReader(std::span<const std::byte> archive, const std::string& name);
  // On disk, not compressed; it must outlive the reader.  Reads headers, and data that is asked for.
  explicit TarReader(const InputFile& file);
  ~TarReader();

  // Regular files only; nothing at the end.
  std::optional<TarMember> next();
  // The data of the present member.  Memory grows with what is really there.
  std::vector<uint8_t> read();

 private:
  class Archive;
  std::unique_ptr<Archive> archive_;
};

// All members of an archive of any size, found by reading its headers.  Throws Error(kNoInput, kBadData).
std::vector<TarMember> index_tar(const std::string& path);

}  // namespace convoy
