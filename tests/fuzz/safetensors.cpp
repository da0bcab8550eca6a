#include "core/io/safetensors.h"

#include "launcher/exchange/tensor_files.h"
#include "tests/fuzz/network.h"
#include "tests/fuzz/target.h"

namespace convoy {
namespace {

void read(std::span<const std::byte> file) {
  const SafetensorsFile parsed({file.begin(), file.end()}, "f.safetensors");
  for (const NamedTensor& tensor : parsed.tensors()) parsed.get(tensor.name, tensor.type, tensor.dims);
  look_at(from_safetensors(parsed));
}

// One byte may be an element, which is a float here, twice where its order is another.  A tensor of 60 bytes of header
// is a struct with two names.  For the network in the metadata see model_text.cpp.
int64_t most_memory(int64_t bytes) { return memory_of_plain_file(bytes) + 16 * bytes + (int64_t{24} << 20); }

}  // namespace

const FuzzTarget kFuzzTarget = {"safetensors", read, most_memory};

}  // namespace convoy
