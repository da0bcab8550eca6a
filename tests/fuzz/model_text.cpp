// A model file of ours, as it stands in files of weights and as a file of its own.
#include <string>

#include "core/base/error.h"
#include "tests/fuzz/network.h"
#include "tests/fuzz/target.h"

namespace convoy {
namespace {

// Without blocks: what Convoy has written.
void read_from_weights(const std::string& text) {
  ForeignModel file;
  file.path = "f.safetensors";
  file.model = text;
  look_at(file);
}

void read(std::span<const std::byte> bytes) {
  try {
    read_from_weights({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  } catch (const Error&) {  // it may be the other kind
  }
  const Experiment experiment = load_model(fuzz_file(bytes), {});
  const auto [h, w, c] = experiment.data.shape.value();
  expect_same_when_printed(experiment.model);
  look_at(experiment.model, {1, h, w, c});
}

// A value of two bytes is a node of 250, of which there are 10,000 at most, a few times over: as they are read, copied
// out of blocks and bound to layers.  Of layers there are 10,000 at most.
int64_t most_memory(int64_t bytes) { return memory_of_plain_file(bytes) + (int64_t{24} << 20); }

}  // namespace

const FuzzTarget kFuzzTarget = {"model_text", read, most_memory};

}  // namespace convoy
