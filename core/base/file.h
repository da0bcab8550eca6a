// Reading and durable writing of files.
//
// Everything that changes a disk goes through FileSystem, so that a test can put one in its place that fails at call k
// or loses what was not synced.  Durable order: write, sync file, sync directory, rename, sync parent directory.
//
// All errors are Error and name path and system error text: kNoInput (missing or unreadable input), kPermission,
// kCannotCreate, kIo (write failed, no space), kOutOfMemory (descriptor limits).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file_descriptor.h"

namespace convoy {

// A file being written, front to back.  Destroying it closes it without a promise; call sync() and close() for one.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;  // all of them
  virtual void sync() = 0;                                   // returns when the bytes are on the disk
  virtual void close() = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual std::unique_ptr<OutputFile> create(const std::string& path) = 0;  // empties an existing file
  virtual void make_directory(const std::string& path) = 0;                 // one that exists is fine
  virtual void sync_directory(const std::string& path) = 0;                 // names in it are on the disk
  virtual void rename(const std::string& from, const std::string& to) = 0;  // a file takes the place of a file
  virtual void remove(const std::string& path) = 0;                         // a file or an empty directory
};

// The real one.  Has no state: make one wherever it is needed.
class PosixFileSystem final : public FileSystem {
 public:
  std::unique_ptr<OutputFile> create(const std::string& path) override;
  void make_directory(const std::string& path) override;
  void sync_directory(const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& path) override;
};

// Writes and syncs; a crash on the way leaves part of it.
void write_file(FileSystem& files, const std::string& path, std::string_view contents);

// `from`, which is synced, takes the place of `to`, also after a crash.
void rename_durably(FileSystem& files, const std::string& from, const std::string& to);

// A new file may take the place of what is at `path`: nothing, or a regular file.  Of anything else, a device, a
// directory, a symbolic link, throws Error(kCannotCreate), before work is done for it.
void require_replaceable(const std::string& path);

// A file on its way to `path`.  It has a name of its own beside `path` until it is complete, so that two processes that
// write the same file do not meet; whatever happens before, nothing is at `path`, or what was there.
//
//   PendingFile pending(files, path);
//   ... create, write, sync and close pending.temporary() ...
//   pending.finish();
class PendingFile {
 public:
  PendingFile(FileSystem& files, std::string path);  // creates nothing; `files` must outlive it
  ~PendingFile();                                    // without finish(): removes what was written
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  const std::string& temporary() const { return temporary_; }
  void finish();

 private:
  FileSystem& files_;
  const std::string path_, temporary_;
  size_t slot_;
  bool finished_ = false;
};

// Removes the temporary files of all PendingFiles: for a signal handler that ends the process.
void remove_pending_files() noexcept;

// Readers see the old contents or the new, never a mixture, also after a crash.
void write_file_atomic(FileSystem& files, const std::string& path, std::string_view contents);

// Makes `path` and what is missing above it.
void make_directories(FileSystem& files, const std::string& path);

// Removes `path` and everything in it; does not follow symbolic links.  Nothing there is fine.
void remove_tree(FileSystem& files, const std::string& path);

enum class Links { kFollow, kRefuse };  // kRefuse: `path` itself must not be a symbolic link

// A regular file that is read at any place.  Threads: read_at may be called by any thread at any time.
class InputFile {
 public:
  explicit InputFile(const std::string& path, Links links = Links::kFollow);

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }  // bytes, when it was opened
  const FileDescriptor& descriptor() const { return fd_; }
  // Fills `out` with the bytes from `offset` on.  Throws Error(kBadData) where the file has no more.
  // Requires: offset >= 0.
  void read_at(int64_t offset, std::span<std::byte> out) const;

 private:
  std::string path_;
  FileDescriptor fd_;
  int64_t size_ = 0;
};

// The whole of a regular file.  More than max_bytes: kBadData, before anything is allocated.
std::vector<std::byte> read_file(const std::string& path, int64_t max_bytes, Links links = Links::kFollow);

// The same into `contents`, which keeps its memory: for one file after the other.
void read_file(const std::string& path, int64_t max_bytes, std::vector<std::byte>& contents);

// The first max_bytes of a regular file, or all of a shorter one.
std::vector<std::byte> read_beginning(const std::string& path, int64_t max_bytes);

}  // namespace convoy
