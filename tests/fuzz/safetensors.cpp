#include "core/io/safetensors.h"

#include "tests/fuzz/target.h"

namespace convoy {
namespace {

void read(std::span<const std::byte> file) {
  const SafetensorsFile parsed({file.begin(), file.end()}, "f.safetensors");
  for (const NamedTensor& tensor : parsed.tensors()) parsed.get(tensor.name, tensor.type, tensor.dims);
}

}  // namespace

const FuzzTarget kFuzzTarget = {"safetensors", read, memory_of_plain_file};

}  // namespace convoy
