#include "core/io/keras_file.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/io/keras_layouts.h"
#include "core/io/limited_json.h"
#include "core/io/zip.h"
#include "core/io/zip_writer.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

const std::string kMetadata = "metadata.json", kConfig = "config.json", kWeightsMember = "model.weights.h5";
const std::string kVersionKey = "keras_version", kCompileKey = "compile_config";

Json parse_object(const std::string& text, const std::string& where) {
  Json json = parse_limited_json<Json>(text, where);
  if (!json.is_object()) bad_data(where, "expected a JSON object, found something else");
  return json;
}

std::string read_text(const ZipArchive& archive, const std::string& member) {
  const std::vector<uint8_t> bytes = archive.read(member);
  return {bytes.begin(), bytes.end()};
}

KerasFile read_layers(Hdf5File file, const std::string& path) {
  KerasFile result;
  result.path = path;
  if (is_legacy(file)) {
    read_legacy(file, result);
  } else if (is_vars(file)) {
    read_vars(file, result);
  } else {
    bad_data(file.path,
             "expected weights by Keras: layer_names, /model_weights or /layers, found an HDF5 file without");
  }
  return result;
}

KerasFile read_archive(const std::string& path, const Hdf5Options& options) {
  const ZipArchive archive(path);
  const Json metadata = parse_object(read_text(archive, kMetadata), path + ": member '" + kMetadata + "'");
  std::string config = read_text(archive, kConfig);
  const Json parsed = parse_object(config, path + ": member '" + kConfig + "'");
  KerasFile file =
      read_layers(read_hdf5(archive.read(kWeightsMember), path + ": member '" + kWeightsMember + "'", options), path);
  if (file.format != KerasFormat::kWeights) bad_data(path, kWeightsMember + ": expected weights as of Keras 3");
  file.format = KerasFormat::kKeras;
  if (metadata.contains(kVersionKey) && metadata[kVersionKey].is_string())
    file.keras_version = metadata[kVersionKey].get<std::string>();
  if (parsed.contains(kCompileKey) && parsed[kCompileKey].is_object() && !parsed[kCompileKey].empty())
    file.training_config = parsed[kCompileKey].dump();
  file.model_config = std::move(config);
  return file;
}

bool starts_like_zip(const std::vector<std::byte>& beginning) {
  return beginning.size() >= 2 && beginning[0] == std::byte{'P'} && beginning[1] == std::byte{'K'};
}

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

void write_archive(const std::string& path, const KerasFile& file, const Hdf5File& weights,
                   const Hdf5Options& options) {
  Json metadata = {{kVersionKey, file.keras_version}};
  std::string config = file.model_config;
  if (!file.training_config.empty()) {
    Json whole = parse_object(config, path + ": model_config");
    whole[kCompileKey] = parse_object(file.training_config, path + ": training_config");
    config = whole.dump();
  }
  const std::vector<uint8_t> bytes = hdf5_bytes(weights, options);
  require_replaceable(path);
  PosixFileSystem files;
  PendingFile pending(files, path);
  const std::unique_ptr<OutputFile> out = files.create(pending.temporary());
  ZipWriter archive(*out, path);
  archive.add(kMetadata, bytes_of(metadata.dump()));
  archive.add(kConfig, bytes_of(config));
  archive.add(kWeightsMember, bytes);
  archive.finish();
  out->sync();
  out->close();
  pending.finish();
}

}  // namespace

const char* to_string(KerasFormat format) {
  switch (format) {
    case KerasFormat::kLegacyModel: return "legacy model";
    case KerasFormat::kLegacyWeights: return "legacy weights";
    case KerasFormat::kWeights: return "weights";
    case KerasFormat::kKeras: return "keras";
  }
  return "?";
}

KerasFile read_keras(const std::string& path, const Hdf5Options& options) {
  if (starts_like_zip(read_beginning(path, 8))) return read_archive(path, options);
  return read_layers(read_hdf5(path, options), path);
}

void write_keras(const std::string& path, const KerasFile& file, const Hdf5Options& options) {
  Hdf5File to;
  to.path = path;
  if (file.format == KerasFormat::kKeras || file.format == KerasFormat::kWeights) {
    write_vars(file, to);
  } else {
    write_legacy(file, to);
  }
  if (file.format == KerasFormat::kKeras) return write_archive(path, file, to, options);
  write_hdf5(path, to, options);
}

}  // namespace convoy
