#include <filesystem>

#include "core/base/error.h"
#include "core/data/directory.h"
#include "core/data/image_folder.h"
#include "core/data/image_manifest.h"
#include "core/data/packed_file.h"
#include "core/data/tar_shards.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// A directory of archives has no directories in it, other than hidden ones.
bool holds_shards(const std::string& directory) {
  bool shards = false;
  for (const fs::directory_entry& entry : entries_of(directory)) {
    std::error_code ignored;
    if (entry.is_directory(ignored)) return false;
    shards = shards || entry.path().string().ends_with(".tar");
  }
  return shards;
}

bool is_tar_name(const std::string& path) { return path.ends_with(".tar"); }

}  // namespace

std::unique_ptr<ImageStore> open_image_store(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error) && !holds_shards(path)) return open_image_folder(path);
  if (fs::is_directory(path, error) || is_tar_name(path)) return std::make_unique<TarShards>(shard_paths(path));
  if (!fs::exists(path, error))
    throw Error(ExitCode::kNoInput, path + ": expected a data set of images, found nothing");
  if (is_manifest_name(path)) return open_image_manifest(path);
  if (is_packed_file(path)) return std::make_unique<PackedFile>(path);
  throw Error(ExitCode::kBadData, path +
                                      ": expected a directory of classes, a .csv or .jsonl, .tar files or a packed "
                                      "file, found none of these");
}

ImageSplits open_image_splits(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error) && !holds_shards(path)) return open_split_folder(path);
  if (is_manifest_name(path)) return open_split_manifest(path);
  return {open_image_store(path), nullptr};
}

}  // namespace convoy
