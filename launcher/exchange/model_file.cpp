#include <filesystem>

#include <unistd.h>

#include "core/base/log.h"
#include "core/io/zip.h"
#include "launcher/exchange/network.h"
#include "launcher/exchange/readers.h"
#include "launcher/exchange/tensor_files.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kBeginning = 4096;  // bytes: enough to tell formats apart

bool starts_with(const std::vector<std::byte>& bytes, std::string_view text) {
  if (bytes.size() < text.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (std::to_integer<char>(bytes[i]) != text[i]) return false;
  }
  return true;
}

bool starts_like_safetensors(const std::vector<std::byte>& bytes) {
  return bytes.size() > 8 && std::to_integer<char>(bytes[8]) == '{' && std::to_integer<int>(bytes[7]) == 0;
}

// The first field of a ModelProto is its version, a small number.
bool starts_like_onnx(const std::vector<std::byte>& bytes) {
  return bytes.size() > 2 && std::to_integer<int>(bytes[0]) == 0x08 && std::to_integer<int>(bytes[1]) < 0x20;
}

constexpr std::string_view kZip = "PK\x03\x04";
constexpr std::string_view kPickle = "\x80";

bool starts_like_model(const std::vector<std::byte>& bytes) {
  return starts_like_hdf5(bytes) || starts_with(bytes, kZip) || starts_with(bytes, kPickle) ||
         starts_like_safetensors(bytes) || starts_like_onnx(bytes);
}

[[noreturn]] void is_pickle(const std::string& path) {
  bad_data(path,
           "a pickle of PyTorch: reading one can run any program, so Convoy does not; save the weights with "
           "safetensors.torch.save_file(model.state_dict(), \"weights.safetensors\")");
}

ForeignModel read_zip(const std::string& path, const Hdf5Options& options) {
  const ZipArchive archive(path);
  bool keras = false;
  for (const ZipMember& member : archive.members()) {
    if (member.name == "config.json") keras = true;
    if (member.name.ends_with("data.pkl")) is_pickle(path);
  }
  return keras ? from_keras(read_keras(path, options)) : read_npz_model(path);
}

ForeignModel read_directory(const std::string& path, bool averaged) {
  if (!fs::is_directory(path + "/checkpoints")) return from_checkpoint(load_checkpoint(path), averaged);
  const Log log(LogLevel::kInfo);
  const std::optional<Checkpoint> newest =
      find_newest_valid(path + "/checkpoints", [&](const std::string& text) { log.warning(text); });
  if (!newest) throw Error(ExitCode::kNoInput, path + ": expected a checkpoint, found none");
  return from_checkpoint(*newest, averaged);
}

}  // namespace

bool begins_like_model(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && ::access(path.c_str(), R_OK) == 0 &&
         starts_like_model(read_beginning(path, kBeginning));
}

ForeignModel read_model_file(const std::string& path, const Hdf5Options& options, bool averaged) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return read_directory(path, averaged);
  if (averaged) throw Error(ExitCode::kUsage, path + ": expected a checkpoint, of which --ema is, found a file");
  const std::vector<std::byte> beginning = read_beginning(path, kBeginning);
  if (starts_like_hdf5(beginning)) return from_keras(read_keras(path, options));
  if (starts_with(beginning, kZip)) return read_zip(path, options);
  if (starts_with(beginning, kPickle)) {
    if (!starts_like_safetensors(beginning)) is_pickle(path);
  }
  if (starts_like_safetensors(beginning)) return from_safetensors(SafetensorsFile::open(path));
  if (starts_like_onnx(beginning)) return read_onnx_model(path);
  bad_data(path,
           "expected safetensors, HDF5 or .keras of Keras, ONNX, npz or a checkpoint; it begins like none of them");
}

}  // namespace convoy
