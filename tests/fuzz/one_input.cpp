// LLVMFuzzerTestOneInput() for kFuzzTarget.  https://llvm.org/docs/LibFuzzer.html
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/base/error.h"
#include "tests/fuzz/allocation.h"
#include "tests/fuzz/target.h"

namespace convoy {

const char* fuzz_file(std::span<const std::byte> contents) {
  static const int fd = memfd_create("fuzz", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const auto bytes = static_cast<ssize_t>(contents.size());
  if (fd < 0 || ftruncate(fd, bytes) != 0 || pwrite(fd, contents.data(), contents.size(), 0) != bytes) {
    std::perror("fuzz_file");
    std::abort();
  }
  return path.c_str();
}

}  // namespace convoy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  try {
    const convoy::AllocationLimit limit(convoy::kFuzzTarget.most_memory(static_cast<int64_t>(size)));
    convoy::kFuzzTarget.read(file);
  } catch (const convoy::Error&) {  // as it should be
  }
  return 0;
}
