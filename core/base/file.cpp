#include "core/base/file.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/file_descriptor.h"

namespace convoy {
namespace {

// `otherwise` is the exit code where errno does not point to a better one.
[[noreturn]] void fail(ExitCode otherwise, const std::string& path, const std::string& what, int error = errno) {
  ExitCode code = otherwise;
  if (error == EACCES || error == EPERM) code = ExitCode::kPermission;
  if (error == EMFILE || error == ENFILE || error == ENOMEM) code = ExitCode::kOutOfMemory;
  if (error == ENOSPC || error == EDQUOT) code = ExitCode::kIo;
  throw Error(code, path + ": " + what + ": " + std::generic_category().message(error));
}

class PosixFile final : public OutputFile {
 public:
  explicit PosixFile(const std::string& path)
      : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666)) {
    if (fd_.get() < 0) fail(ExitCode::kCannotCreate, path_, "cannot create");
  }

  void write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(ExitCode::kIo, path_, "cannot write");
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }

  void sync() override {
    if (::fsync(fd_.get()) != 0) fail(ExitCode::kIo, path_, "cannot sync");
  }

  void close() override {
    if (::close(fd_.release()) != 0) fail(ExitCode::kIo, path_, "cannot close");
  }

 private:
  const std::string path_;
  FileDescriptor fd_;
};

std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

// The random part is for hosts that share a disk.
std::string temporary_beside(const std::string& path) {
  static std::atomic<unsigned> made = 0;
  char unique[48];
  std::snprintf(unique, sizeof unique, ".%x.%x.%x.tmp", static_cast<unsigned>(::getpid()), std::random_device()(),
                made++);
  return path + unique;
}

// Names of temporary files, for remove_pending_files().  Who takes one out of its slot owns it; a handler that took one
// does not free it.
std::array<std::atomic<char*>, 64> pending;
static_assert(std::atomic<char*>::is_always_lock_free, "a handler must not wait for what it interrupts");

// Its slot; pending.size() where there is none left.
size_t note_pending(const std::string& path) {
  char* const copy = ::strdup(path.c_str());
  for (size_t i = 0; i < pending.size(); ++i) {
    char* free_slot = nullptr;
    if (pending[i].compare_exchange_strong(free_slot, copy)) return i;
  }
  std::free(copy);
  return pending.size();
}

void forget_pending(size_t slot) {
  if (slot < pending.size()) std::free(pending[slot].exchange(nullptr));
}

int open_for_reading(const std::string& path, Links links) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | (links == Links::kRefuse ? O_NOFOLLOW : 0));
}

// Requires: count <= input.size().
void read_first(const InputFile& input, int64_t count, std::vector<std::byte>& bytes) {
  bytes.resize(static_cast<size_t>(count));
  input.read_at(0, bytes);
}

void read_whole(const InputFile& input, int64_t max_bytes, std::vector<std::byte>& bytes) {
  if (input.size() > max_bytes)
    throw Error(ExitCode::kBadData, input.path() + ": expected at most " + std::to_string(max_bytes) +
                                        " bytes, found " + std::to_string(input.size()));
  read_first(input, input.size(), bytes);
}

}  // namespace

std::unique_ptr<OutputFile> PosixFileSystem::create(const std::string& path) {
  return std::make_unique<PosixFile>(path);
}

void PosixFileSystem::make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) == 0) return;
  const int error = errno;
  std::error_code ignored;
  if (error == EEXIST && std::filesystem::is_directory(path, ignored)) return;
  fail(ExitCode::kCannotCreate, path, "cannot create directory", error == EEXIST ? ENOTDIR : error);
}

void PosixFileSystem::sync_directory(const std::string& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) fail(ExitCode::kIo, path, "cannot open directory");
  // EINVAL: some network and FUSE file systems have no directory sync; rename is all they offer.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) fail(ExitCode::kIo, path, "cannot sync directory");
}

void PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) fail(ExitCode::kIo, from, "cannot rename to " + to);
}

void PosixFileSystem::remove(const std::string& path) {
  if (std::remove(path.c_str()) != 0) fail(ExitCode::kIo, path, "cannot remove");
}

void write_file(FileSystem& files, const std::string& path, std::string_view contents) {
  const std::unique_ptr<OutputFile> file = files.create(path);
  file->write(std::as_bytes(std::span(contents)));
  file->sync();
  file->close();
}

void rename_durably(FileSystem& files, const std::string& from, const std::string& to) {
  files.rename(from, to);
  files.sync_directory(parent_of(to));
}

void require_replaceable(const std::string& path) {
  std::error_code error;
  const auto type = std::filesystem::symlink_status(path, error).type();
  if (type == std::filesystem::file_type::regular || type == std::filesystem::file_type::not_found) return;
  if (type == std::filesystem::file_type::none) fail(ExitCode::kCannotCreate, path, "cannot create", error.value());
  throw Error(ExitCode::kCannotCreate, path + ": expected nothing or a regular file, which a new one may replace");
}

PendingFile::PendingFile(FileSystem& files, std::string path)
    : files_(files), path_(std::move(path)), temporary_(temporary_beside(path_)), slot_(note_pending(temporary_)) {}

PendingFile::~PendingFile() {
  forget_pending(slot_);
  if (finished_) return;
  try {
    files_.remove(temporary_);
  } catch (const Error&) {  // it was not created, or the error that brought us here says more
  }
}

void PendingFile::finish() {
  rename_durably(files_, temporary_, path_);
  finished_ = true;
}

void remove_pending_files() noexcept {
  for (std::atomic<char*>& slot : pending) {
    const char* path = slot.exchange(nullptr);
    if (path != nullptr) ::unlink(path);
  }
}

void write_file_atomic(FileSystem& files, const std::string& path, std::string_view contents) {
  PendingFile pending(files, path);
  write_file(files, pending.temporary(), contents);
  pending.finish();
}

void make_directories(FileSystem& files, const std::string& path) {
  std::error_code ignored;  // an error here comes back, with its text, from make_directory
  if (std::filesystem::is_directory(path, ignored)) return;
  const std::string parent = parent_of(path);
  if (parent != path) make_directories(files, parent);
  files.make_directory(path);
  files.sync_directory(parent);
}

void remove_tree(FileSystem& files, const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found) return;
  std::vector<std::string> entries;  // listed first: the directory must not change under its iterator
  if (fs::is_directory(status))
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
      entries.push_back(entry->path().string());
  if (error) fail(ExitCode::kIo, path, "cannot remove", error.value());
  for (const std::string& entry : entries) remove_tree(files, entry);
  files.remove(path);
}

InputFile::InputFile(const std::string& path, Links links) : path_(path), fd_(open_for_reading(path, links)) {
  if (fd_.get() < 0) fail(ExitCode::kNoInput, path_, "cannot open");
  struct stat status;
  if (::fstat(fd_.get(), &status) != 0) fail(ExitCode::kNoInput, path_, "cannot open");
  if (!S_ISREG(status.st_mode)) throw Error(ExitCode::kNoInput, path_ + ": expected a regular file");
  size_ = status.st_size;
}

void InputFile::read_at(int64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd_.get(), out.data(), out.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(ExitCode::kNoInput, path_, "cannot read");
    if (got == 0)
      throw Error(ExitCode::kBadData, path_ + ": expected " + std::to_string(out.size()) + " more bytes at byte " +
                                          std::to_string(offset) + ", found the end of the file");
    out = out.subspan(static_cast<size_t>(got));
    offset += got;
  }
}

std::vector<std::byte> read_file(const std::string& path, int64_t max_bytes, Links links) {
  std::vector<std::byte> bytes;
  read_whole(InputFile(path, links), max_bytes, bytes);
  return bytes;
}

void read_file(const std::string& path, int64_t max_bytes, std::vector<std::byte>& contents) {
  read_whole(InputFile(path), max_bytes, contents);
}

std::vector<std::byte> read_beginning(const std::string& path, int64_t max_bytes) {
  const InputFile input(path);
  std::vector<std::byte> bytes;
  read_first(input, std::min(input.size(), max_bytes), bytes);
  return bytes;
}

}  // namespace convoy
