#include "core/io/onnx.h"

#include "launcher/exchange/readers.h"
#include "tests/fuzz/network.h"
#include "tests/fuzz/target.h"

namespace convoy {
namespace {

void read(std::span<const std::byte> file) { look_at(from_onnx(parse_onnx(file, "f.onnx"), "f.onnx")); }

// A node of 4 bytes is read into a struct of a hundred times that; the number of nodes is bounded.
int64_t most_memory(int64_t bytes) { return memory_of_plain_file(bytes) + 400 * bytes; }

}  // namespace

const FuzzTarget kFuzzTarget = {"onnx", read, most_memory};

}  // namespace convoy
