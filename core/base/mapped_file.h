// A regular file as read-only memory.
//
// An access to a page that a file no longer has, or that its disk fails to read, ends the process: SIGBUS.  With the
// first mapping a handler is installed, for the whole process and for good, that turns this into "error: PATH: was
// truncated, or cannot be read, while mapped" on standard error and exit code 65.  Faults at other addresses go to
// whoever handled them before.  A file that was truncated within its last page raises nothing: the rest reads as zeros.
// Threads: any thread may read; mapping and unmapping are safe in parallel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace convoy {

class MappedFile {
 public:
  // Throws Error naming the path: kNoInput for what is missing or no regular file, kOutOfMemory.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&&) noexcept;  // views stay valid
  MappedFile& operator=(MappedFile&&) noexcept;

  const std::string& path() const;
  std::span<const std::byte> bytes() const;

  // A hint: `size` bytes at `offset` will be read soon.  Returns at once.  Requires: a part of bytes().
  void will_read(int64_t offset, int64_t size) const;

 private:
  struct Mapping;
  std::unique_ptr<Mapping> mapping_;
};

}  // namespace convoy
