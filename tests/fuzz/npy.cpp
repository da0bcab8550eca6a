#include "core/io/npy.h"

#include "tests/fuzz/target.h"

namespace convoy {
namespace {

void read(std::span<const std::byte> file) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(file.data());
  const NpyArray array = parse_npy({bytes, bytes + file.size()}, "f.npy");
  npy_integers(array, "f.npy");
}

// int32 from one-byte elements: four times as much as the file.
int64_t most_memory(int64_t bytes) { return memory_of_plain_file(bytes) + 4 * bytes; }

}  // namespace

const FuzzTarget kFuzzTarget = {"npy", read, most_memory};

}  // namespace convoy
