// convoy convert: a network with its weights in another format, or how the weights of two files differ.
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include <unistd.h>

#include "launcher/commands/commands.h"
#include "launcher/config/parts.h"
#include "launcher/network_flags.h"

namespace convoy {
namespace {

[[noreturn]] void usage(const std::string& message) { throw Error(ExitCode::kUsage, "convert: " + message); }

// Whether the flag says the first of two words.
bool chooses(const CommandLine& line, const std::string& name, const std::string& one, const std::string& other,
             bool otherwise) {
  const std::string value = flag(line, name, otherwise ? one : other);
  if (value != one && value != other)
    usage("--" + name + ": expected " + one + " or " + other + ", found '" + value + "'");
  return value == one;
}

// What a flag that has no meaning for `to` would leave undone in silence.
void require_meaning(const CommandLine& line, const std::string& to) {
  const auto only_for = [&](const std::string& name, bool means, const std::string& what) {
    if (line.flags.contains(name) && !means) usage("--" + name + " is for " + what + ", found " + to);
  };
  const bool compares = line.flags.contains("diff");
  const bool network = to.ends_with(".h5") || to.ends_with(".keras") || to.ends_with(".onnx");
  only_for("names", !compares && to.ends_with(".safetensors"), "writing .safetensors");
  only_for("fold_batch_norm", !compares && to.ends_with(".onnx"), "writing .onnx");
  only_for("output", !compares && (network || flag(line, "output") == "logits"), "writing .h5, .keras and .onnx");
}

// Before anything is read.
void require_can_write(const std::string& from, const std::string& to) {
  std::error_code ignored;
  if (std::filesystem::equivalent(from, to, ignored)) usage(to + ": expected another file than the one that is read");
  require_replaceable(to);
  const std::string directory = std::filesystem::absolute(to).parent_path();
  if (::access(directory.c_str(), W_OK | X_OK) == 0) return;
  const bool forbidden = errno == EACCES || errno == EPERM;
  throw Error(forbidden ? ExitCode::kPermission : ExitCode::kCannotCreate,
              to + ": cannot create: " + std::generic_category().message(errno));
}

ExportOptions export_options(const CommandLine& line, const std::string& to) {
  const bool keras = to.ends_with(".h5") || to.ends_with(".keras");
  return {.probabilities = chooses(line, "output", "probabilities", "logits", keras),
          .fold_batch_norm = line.flags.contains("fold_batch_norm"),
          .pytorch_names = chooses(line, "names", "pytorch", "convoy", false)};
}

void print_mapping(const std::string& from, const OpenedNetwork& opened) {
  std::printf("%s: %s, network %s, images %dx%dx%d\n", from.c_str(), opened.format.c_str(),
              opened.network.config.name.c_str(), opened.network.sample.h, opened.network.sample.w,
              opened.network.sample.c);
  for (const auto* notes : {&opened.notes, &opened.training_notes}) {
    for (const std::string& note : *notes) std::printf("note: %s\n", note.c_str());
  }
  for (const auto& [name, original] : opened.matched.matches) {
    std::printf("  %-48s -> %s\n", original.c_str(), name.c_str());
  }
  for (const std::string& name : opened.matched.unused) std::printf("  %-48s    left over\n", name.c_str());
  for (const std::string& name : opened.matched.missing) std::printf("  %-48s <- at random\n", name.c_str());
}

// ---- --diff

double largest(const std::vector<float>& values) {
  double most = 0;
  for (const float value : values) most = std::max(most, std::abs(double{value}));
  return most;
}

// Infinite where an element of either is not finite.
double largest_difference(const std::vector<float>& one, const std::vector<float>& other) {
  double most = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    if (!std::isfinite(one[i]) || !std::isfinite(other[i])) return INFINITY;
    most = std::max(most, std::abs(double{one[i]} - other[i]));
  }
  return most;
}

// The largest difference of a tensor's elements, relative to its largest element.
int print_differences(const Network& one, const Network& other) {
  double worst = 0;
  for (const auto& [name, values] : one.weights) {
    const auto found = other.weights.find(name);
    if (found == other.weights.end() || found->second.size() != values.size()) {
      std::printf("  %-48s only in the first\n", name.c_str());
      worst = INFINITY;
      continue;
    }
    const double scale = std::max(largest(values), largest(found->second));
    const double difference = largest_difference(values, found->second);
    const double relative = difference == 0 || std::isinf(difference) ? difference : difference / scale;
    std::printf("  %-48s %.3g\n", name.c_str(), relative);
    worst = std::max(worst, relative);
  }
  for (const auto& [name, values] : other.weights) {
    if (one.weights.contains(name)) continue;
    std::printf("  %-48s only in the second\n", name.c_str());
    worst = INFINITY;
  }
  std::printf("largest relative difference of a tensor: %.3g\n", worst);
  return 0;
}

// The second file may call its layers otherwise, or have no architecture: then it is read as weights of the first.
Network second_network(const std::string& path, const Network& first, const NetworkOptions& options) {
  const ForeignModel file = read_model_file(path, options.hdf5);
  Network second;
  MatchedWeights matched = match_weights(weight_places(first.model.graph), file);
  if (!options.partial) require_complete(matched, file);
  second.weights = std::move(matched.weights);
  return second;
}

}  // namespace

int convert_command(const CommandLine& line) {
  const std::string& from = require_word(line, 0, "a file to convert");
  const std::string& to = require_word(line, 1, "a file to write, or to compare with");
  const NetworkOptions options = network_options(line);
  const bool compares = line.flags.contains("diff"), architecture_only = to.ends_with(".yaml");
  if (!compares && !architecture_only) require_known_format(to, ".yaml");
  const ExportOptions exports = export_options(line, to);
  require_meaning(line, to);
  if (!compares) require_can_write(from, to);
  const OpenedNetwork opened = open_network(from, options);
  if (compares) return print_differences(opened.network, second_network(to, opened.network, options));
  print_mapping(from, opened);
  PosixFileSystem files;
  if (architecture_only) {
    const Shape& sample = opened.network.sample;
    write_file_atomic(files, to, show_model_file(opened.network.config, {sample.h, sample.w, sample.c}));
  } else {
    for (const std::string& note : write_network(files, to, opened.network, exports)) {
      std::printf("note: %s: %s\n", to.c_str(), note.c_str());
    }
  }
  std::printf("%s: written, %.1f MB\n", to.c_str(), static_cast<double>(std::filesystem::file_size(to)) / 1e6);
  return 0;
}

}  // namespace convoy
