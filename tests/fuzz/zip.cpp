#include "core/io/zip.h"

#include "tests/fuzz/target.h"

namespace convoy {
namespace {

void read(std::span<const std::byte> file) {
  const ZipArchive archive(fuzz_file(file));
  for (const ZipMember& member : archive.members()) {
    archive.read_beginning(member.name, 100);
    archive.read(member.name);
  }
}

// A member may inflate to 64 MiB or to 64 times its size, see plausible_inflation(); it grows by moving, and then is
// there twice.
int64_t most_memory(int64_t bytes) { return memory_of_plain_file(bytes) + 2 * ((int64_t{64} << 20) + 64 * bytes); }

}  // namespace

const FuzzTarget kFuzzTarget = {"zip", read, most_memory};

}  // namespace convoy
