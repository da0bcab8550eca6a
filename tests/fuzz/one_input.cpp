// LLVMFuzzerTestOneInput() for kFuzzTarget.  https://llvm.org/docs/LibFuzzer.html
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
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

namespace {

// Of all inputs: told at the end.
struct Largest {
  double share = 0;                          // of what is allowed
  int64_t held = 0, allowed = 0, input = 0;  // bytes
  ~Largest() {
    std::fprintf(stderr, "stat::largest_memory: %lld bytes for an input of %lld, %.0f %% of the %lld allowed\n",
                 static_cast<long long>(held), static_cast<long long>(input), 100 * share,
                 static_cast<long long>(allowed));
  }
};
Largest largest;

void note_memory(const AllocationLimit& limit, int64_t input, int64_t allowed) {
  const double share = static_cast<double>(limit.peak_bytes()) / static_cast<double>(allowed);
  if (share <= largest.share) return;
  largest.share = share;
  largest.held = limit.peak_bytes();
  largest.allowed = allowed;
  largest.input = input;
}

}  // namespace
}  // namespace convoy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  const auto bytes = static_cast<int64_t>(size);
  const int64_t most = convoy::kFuzzTarget.most_memory(bytes);
  const convoy::AllocationLimit limit(most);
  try {
    convoy::kFuzzTarget.read(file);
  } catch (const convoy::Error&) {  // as it should be
  }
  convoy::note_memory(limit, bytes, most);
  return 0;
}
