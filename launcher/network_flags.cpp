#include "launcher/network_flags.h"

#include <charconv>

namespace convoy {
namespace {

// "224,224,3".
std::array<int, 3> shape_of(const CommandLine& line) {
  const std::string text = flag(line, "shape");
  std::array<int, 3> shape{};
  const char *at = text.data(), *end = text.data() + text.size();
  for (size_t i = 0; i < shape.size(); ++i) {
    const auto [next, error] = std::from_chars(at, end, shape[i]);
    const bool last = i + 1 == shape.size();
    if (error != std::errc() || shape[i] < 1 || (last ? next != end : next == end || *next != ',')) {
      throw Error(ExitCode::kUsage, line.verb + ": --shape: expected HEIGHT,WIDTH,CHANNELS, found '" + text + "'");
    }
    at = next + 1;
  }
  return shape;
}

}  // namespace

Hdf5Options hdf5_options(const CommandLine& line) { return {.unsafe = line.flags.contains("unsafe_import")}; }

NetworkOptions network_options(const CommandLine& line) {
  NetworkOptions options;
  options.model_file = flag(line, "model_file");
  options.preprocessing = flag(line, "preprocessing");
  options.averaged = line.flags.contains("ema");
  options.partial = line.flags.contains("partial");
  options.hdf5 = hdf5_options(line);
  if (line.flags.contains("shape")) options.shape = shape_of(line);
  return options;
}

std::vector<std::string> with_shape(const CommandLine& line) {
  std::vector<std::string> overrides = line.overrides;
  if (line.flags.contains("shape")) {
    const auto [h, w, c] = shape_of(line);
    overrides.push_back("data.shape=[" + std::to_string(h) + "," + std::to_string(w) + "," + std::to_string(c) + "]");
  }
  return overrides;
}

}  // namespace convoy
