// What convoy-h5 says, which may be anything; that it ends in the middle is the end of the bytes.
#include "core/io/hdf5_stream.h"
#include "tests/fuzz/target.h"

namespace convoy {
namespace {

// The file is as long as what is said of it, as one of plain numbers is.
void read(std::span<const std::byte> said) {
  BytesSource source(said, "f.h5");
  decode_hdf5(source, std::ssize(said), "f.h5");
}

// An object of ten bytes becomes a struct and entries in sets of thirty times that; their number is bounded.
int64_t most_memory(int64_t bytes) { return memory_of_plain_file(bytes) + 30 * bytes + (int64_t{3} << 20); }

}  // namespace

const FuzzTarget kFuzzTarget = {"hdf5_pipe", read, most_memory};

}  // namespace convoy
