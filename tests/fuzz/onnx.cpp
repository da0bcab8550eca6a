#include "core/io/onnx.h"

#include "launcher/config/parts.h"
#include "launcher/exchange/readers.h"
#include "launcher/model_builder.h"
#include "tests/fuzz/target.h"

namespace convoy {
namespace {

void read(std::span<const std::byte> file) {
  const ForeignModel model = from_onnx(parse_onnx(file, "f.onnx"), "f.onnx");
  const auto [h, w, c] = model.shape.value_or(std::array<int, 3>{32, 32, 3});
  build_model(parse_model(model.model, "f.onnx"), {}, {1, h, w, c},
              {.training = false, .normalize = false, .rewrite = false});
}

// A node of 4 bytes is read into a struct of a hundred times that; the number of nodes is bounded.
int64_t most_memory(int64_t bytes) { return memory_of_plain_file(bytes) + 400 * bytes; }

}  // namespace

const FuzzTarget kFuzzTarget = {"onnx", read, most_memory};

}  // namespace convoy
