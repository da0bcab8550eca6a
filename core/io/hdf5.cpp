#include "core/io/hdf5.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <system_error>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/io/dims.h"
#include "core/io/hdf5_child.h"
#include "core/io/hdf5_stream.h"

namespace convoy {
namespace {

constexpr size_t kStep = size_t{1} << 20;

std::vector<std::string> command(const char* verb, const Hdf5Options& options) {
  std::vector<std::string> arguments = {options.program.empty() ? find_h5_program() : options.program, verb};
  if (options.unsafe) arguments.emplace_back("--unsafe");
  return arguments;
}

Hdf5File read_descriptor(int file, int64_t file_bytes, const std::string& name, const Hdf5Options& options) {
  Hdf5Child child(command("read", options), file, {options.patience_seconds, file_bytes}, name);
  Hdf5File contents = decode_hdf5(child, file_bytes, name);
  child.expect_end();
  return contents;
}

FileDescriptor memory_file(const std::string& name) {
  FileDescriptor memory(::memfd_create("convoy-h5", MFD_CLOEXEC));
  if (memory.get() < 0)
    throw Error(ExitCode::kOutOfMemory, name + ": no memory: " + std::generic_category().message(errno));
  return memory;
}

void fill(int memory, std::span<const uint8_t> contents, const std::string& name) {
  while (!contents.empty()) {
    const ssize_t written = ::write(memory, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EFBIG)
      throw Error(ExitCode::kIo, name + ": cannot be copied for convoy-h5: " + std::generic_category().message(EFBIG));
    if (written < 0)
      throw Error(ExitCode::kOutOfMemory, name + ": no memory: " + std::generic_category().message(errno));
    contents = contents.subspan(static_cast<size_t>(written));
  }
}

int64_t element_bytes(const Hdf5File& file) {
  int64_t bytes = 0;
  for (const HostTensor& tensor : file.datasets) bytes += std::ssize(tensor.values) * int64_t{sizeof(float)};
  return bytes;
}

// Groups above others, and above datasets, that are not listed, too.
void say(const Hdf5File& file, Hdf5Encoder& encoder) {
  std::set<std::string> said;
  const auto say_above = [&](const std::string& path) {
    for (size_t slash = 0; slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const std::string above = slash == 0 ? "/" : path.substr(0, slash);
      if (path != "/" && said.insert(above).second) {
        const Hdf5Group* listed = file.group(above);
        encoder.group(listed != nullptr ? *listed : Hdf5Group{above, {}});
      }
    }
  };
  for (const Hdf5Group& group : file.groups) {
    say_above(group.path);
    if (said.insert(group.path).second) encoder.group(group);
  }
  for (const HostTensor& tensor : file.datasets) {
    CHECK(dims_product(1, tensor.dims) == std::ssize(tensor.values), tensor.name);
    say_above(tensor.name);
    encoder.dataset(tensor.name, tensor.dims);
    encoder.elements(tensor.values);
  }
  encoder.end();
}

// The file as convoy-h5 made it: in memory, because only a FileSystem writes to disks.
FileDescriptor write_to_memory(const Hdf5File& file, const Hdf5Options& options) {
  FileDescriptor memory = memory_file(file.path);
  Hdf5Child child(command("write", options), memory.get(),
                  {options.patience_seconds, element_bytes(file), ExitCode::kIo}, file.path);
  Hdf5Encoder encoder(child);
  say(file, encoder);
  // It answers with the root alone, or an error.
  const Hdf5File answer = decode_hdf5(child, 0, file.path);
  CHECK(answer.groups.size() == 1 && answer.datasets.empty());
  child.expect_end();
  return memory;
}

int64_t size_of(const FileDescriptor& file) {
  struct stat status = {};
  CHECK(::fstat(file.get(), &status) == 0);
  return status.st_size;
}

size_t read_some(const FileDescriptor& file, int64_t offset, std::span<std::byte> out) {
  for (;;) {
    const ssize_t got = ::pread(file.get(), out.data(), out.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    CHECK(got > 0, "memory of a written HDF5 file");
    return static_cast<size_t>(got);
  }
}

template <class T>
const T* find_by(const std::vector<T>& all, std::string T::*name, const std::string& wanted) {
  const auto at = std::ranges::find(all, wanted, name);
  return at == all.end() ? nullptr : &*at;
}

}  // namespace

const Hdf5Attribute* Hdf5Group::find(const std::string& wanted) const {
  return find_by(attributes, &Hdf5Attribute::name, wanted);
}
const Hdf5Group* Hdf5File::group(const std::string& wanted) const { return find_by(groups, &Hdf5Group::path, wanted); }
const HostTensor* Hdf5File::dataset(const std::string& wanted) const {
  return find_by(datasets, &HostTensor::name, wanted);
}

Hdf5File read_hdf5(const std::string& path, const Hdf5Options& options) {
  const InputFile file(path);
  return read_descriptor(file.descriptor().get(), file.size(), path, options);
}

Hdf5File read_hdf5(std::span<const uint8_t> contents, const std::string& name, const Hdf5Options& options) {
  const FileDescriptor memory = memory_file(name);
  fill(memory.get(), contents, name);
  return read_descriptor(memory.get(), std::ssize(contents), name, options);
}

void write_hdf5(const std::string& path, const Hdf5File& file, const Hdf5Options& options) {
  require_replaceable(path);
  const FileDescriptor memory = write_to_memory(file, options);
  PosixFileSystem files;
  PendingFile pending(files, path);
  const std::unique_ptr<OutputFile> out = files.create(pending.temporary());
  std::vector<std::byte> piece(kStep);
  const int64_t bytes = size_of(memory);
  for (int64_t at = 0; at < bytes;) {
    const size_t got = read_some(memory, at, piece);
    out->write(std::span(piece).first(got));
    at += static_cast<int64_t>(got);
  }
  out->sync();
  out->close();
  pending.finish();
}

std::vector<uint8_t> hdf5_bytes(const Hdf5File& file, const Hdf5Options& options) {
  const FileDescriptor memory = write_to_memory(file, options);
  std::vector<uint8_t> bytes(static_cast<size_t>(size_of(memory)));
  for (size_t at = 0; at < bytes.size();)
    at += read_some(memory, static_cast<int64_t>(at), std::as_writable_bytes(std::span(bytes).subspan(at)));
  return bytes;
}

bool starts_like_hdf5(std::span<const std::byte> beginning) {
  constexpr std::array<unsigned char, 8> kSignature = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
  return beginning.size() >= kSignature.size() &&
         std::memcmp(beginning.data(), kSignature.data(), kSignature.size()) == 0;
}

}  // namespace convoy
