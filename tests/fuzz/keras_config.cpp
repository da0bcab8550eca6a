// The configurations in a Keras file, without weights: three lines, the version of Keras, model_config and
// training_config.
#include <string>

#include "launcher/exchange/readers.h"
#include "tests/fuzz/network.h"
#include "tests/fuzz/target.h"

namespace convoy {
namespace {

std::string take_line(std::string& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string line = text.substr(0, end);
  text.erase(0, end + 1);
  return line;
}

void read(std::span<const std::byte> bytes) {
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  KerasFile file;
  file.path = "f.h5";
  file.keras_version = take_line(text);
  file.model_config = take_line(text);
  file.training_config = take_line(text);
  look_at(from_keras(file));
}

// `{},` of three bytes is a hundred as a tree of JSON.  A model may stand in another one several times: then a short
// text is a network of as many layers as there may be (see keras_graph.cpp), some hundred bytes each.
int64_t most_memory(int64_t bytes) { return memory_of_plain_file(bytes) + 100 * bytes + (int64_t{24} << 20); }

}  // namespace

const FuzzTarget kFuzzTarget = {"keras_config", read, most_memory};

}  // namespace convoy
