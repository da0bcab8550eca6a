#include "core/train/checkpoint.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "core/base/error.h"
#include "core/base/hash.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModel = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "state.safetensors";
constexpr const char* kManifest = "manifest.json";

constexpr const char* kBest = "best";  // a directory of checkpoints that stands for its newest
constexpr std::string_view kStepPrefix = "step-";
constexpr std::string_view kTemporaryPrefix = ".tmp-";  // what a crash may leave: removed by the next save
constexpr std::string_view kCorruptSuffix = ".corrupt";
constexpr size_t kStepDigits = 10;

constexpr int64_t kMaxManifestBytes = int64_t{1} << 20;

std::string step_name(int64_t step) {
  std::array<char, 32> name;
  const int length = std::snprintf(name.data(), name.size(), "step-%010lld", static_cast<long long>(step));
  return {name.data(), static_cast<size_t>(length)};
}

bool is_step_name(std::string_view name) {
  return name.starts_with(kStepPrefix) && name.size() >= kStepPrefix.size() + kStepDigits &&
         std::all_of(name.begin() + kStepPrefix.size(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Names in `root` that `wanted` likes; none if there is no such directory.
std::vector<std::string> list(const std::string& root, const std::function<bool(const std::string&)>& wanted) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(root, error), end; !error && entry != end; entry.increment(error))
    if (std::string name = entry->path().filename().string(); wanted(name)) names.push_back(std::move(name));
  if (error && error != std::errc::no_such_file_or_directory)
    throw Error(error == std::errc::permission_denied ? ExitCode::kPermission : ExitCode::kNoInput,
                root + ": cannot list: " + error.message());
  return names;
}

// Committed checkpoints, highest step first.  (More digits than ten are a higher step.)
std::vector<std::string> committed(const std::string& root) {
  std::vector<std::string> names = list(root, is_step_name);
  std::sort(names.begin(), names.end(),
            [](const std::string& a, const std::string& b) { return std::pair(a.size(), a) > std::pair(b.size(), b); });
  return names;
}

void remove_leftovers(FileSystem& files, const std::string& root) {
  for (const std::string& name : list(root, [](const auto& n) { return n.starts_with(kTemporaryPrefix); }))
    remove_tree(files, root + "/" + name);
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

// Renames a damaged checkpoint to a free name; returns that.
std::string set_aside(FileSystem& files, const std::string& path) {
  std::string corrupt = path + std::string(kCorruptSuffix);
  for (int i = 2; exists(corrupt); ++i) corrupt = path + "." + std::to_string(i) + std::string(kCorruptSuffix);
  files.rename(path, corrupt);
  files.sync_directory(fs::path(path).parent_path().string());
  return corrupt;
}

void write_files(FileSystem& files, const std::string& directory, const CheckpointContents& contents) {
  Manifest manifest = contents.manifest;
  const auto write = [&](const char* name, const std::vector<NamedTensor>& tensors,
                         std::map<std::string, std::string> metadata) {
    metadata["format"] = "convoy";
    manifest.files[name] = write_safetensors(files, directory + "/" + name, tensors, metadata);
  };
  write(kModel, contents.model, contents.model_metadata);
  write(kOptimizer, contents.optimizer, contents.optimizer_metadata);
  write(kState, contents.state, contents.state_metadata);

  const std::string text = format_manifest(manifest);
  CHECK(static_cast<int64_t>(text.size()) <= kMaxManifestBytes, "manifest");
  write_file(files, directory + "/" + kManifest, text);
  files.sync_directory(directory);
}

// Is there a checkpoint of this step that need not be written again?  A damaged one is moved out of the way.
bool already_saved(FileSystem& files, const std::string& path) {
  if (!exists(path)) return false;
  try {
    load_checkpoint(path);
    return true;
  } catch (const NewerFormat&) {
    throw;
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadData) throw;
    set_aside(files, path);
    return false;
  }
}

// Reads and verifies one file of a checkpoint.  Names come from us, never from the manifest.
SafetensorsFile load_file(const std::string& directory, const Manifest& manifest, const std::string& name) {
  const std::string path = directory + "/" + name;
  const auto listed = manifest.files.find(name);
  if (listed == manifest.files.end())
    throw Error(ExitCode::kBadData, directory + "/" + kManifest + ": expected an entry for " + name + ", found none");
  const FileDigest& expected = listed->second;
  std::vector<std::byte> contents = read_file(path, expected.bytes, Links::kRefuse);
  if (static_cast<int64_t>(contents.size()) != expected.bytes)
    throw Error(ExitCode::kBadData, path + ": expected " + std::to_string(expected.bytes) + " bytes, found " +
                                        std::to_string(contents.size()));
  if (const std::string found = hash128_hex(contents); found != expected.xxh3_128)
    throw Error(ExitCode::kBadData, path + ": damaged: expected hash " + expected.xxh3_128 + ", found " + found);
  return SafetensorsFile(std::move(contents), path);
}

// "a/b/" is a directory called b.
std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// `path` is a directory whose name is not that of a checkpoint: perhaps the one that is meant lies below.
[[noreturn]] void wrong_name(const std::string& path) {
  constexpr size_t kMostNamed = 5;
  std::error_code ignored;
  for (const std::string& root : {path, path + "/checkpoints"}) {
    if (!fs::is_directory(root, ignored)) continue;
    const std::vector<std::string> found = committed(root);
    if (found.empty()) continue;
    std::string names;
    for (size_t i = 0; i < std::min(found.size(), kMostNamed); ++i) names += (i == 0 ? "" : ", ") + found[i];
    if (found.size() > kMostNamed) names += ", ...";
    throw Error(ExitCode::kBadData, path + ": expected a checkpoint, found a directory with " + names +
                                        "; did you mean " + root + "/" + found.front() + "?");
  }
  if (path.ends_with(kCorruptSuffix))
    throw Error(ExitCode::kBadData, path + ": expected a checkpoint, found one that was set aside as damaged");
  throw Error(ExitCode::kBadData,
              path + ": expected a checkpoint, a directory called like " + step_name(1234) + ", found another name");
}

Checkpoint load_verified(const std::string& path) {
  const std::string manifest_path = path + "/" + kManifest;
  const std::vector<std::byte> bytes = read_file(manifest_path, kMaxManifestBytes, Links::kRefuse);
  Manifest manifest = parse_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, manifest_path);
  if (step_name(manifest.step) != fs::path(path).filename())
    throw Error(ExitCode::kBadData,
                manifest_path + ": expected the manifest of " + path + ", found one of " + step_name(manifest.step));
  SafetensorsFile model = load_file(path, manifest, kModel);
  SafetensorsFile optimizer = load_file(path, manifest, kOptimizer);
  SafetensorsFile state = load_file(path, manifest, kState);
  return {path, std::move(manifest), std::move(model), std::move(optimizer), std::move(state)};
}

}  // namespace

std::map<std::string, std::vector<float>> averages_in(const std::vector<NamedTensor>& tensors) {
  std::map<std::string, std::vector<float>> averages;
  for (const NamedTensor& tensor : tensors) {
    if (!tensor.name.ends_with(kAverageEnding) || tensor.type != StoredType::kF32) continue;
    std::vector<float>& values = averages[tensor.name.substr(0, tensor.name.size() - kAverageEnding.size())];
    values.resize(tensor.bytes.size() / sizeof(float));
    std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  }
  return averages;
}

std::string save_checkpoint(FileSystem& files, const std::string& root, const CheckpointContents& contents) {
  const std::string name = step_name(contents.manifest.step);
  const std::string path = root + "/" + name, temporary = root + "/" + std::string(kTemporaryPrefix) + name;
  make_directories(files, root);
  if (already_saved(files, path)) return path;
  try {
    remove_leftovers(files, root);
    files.make_directory(temporary);
    write_files(files, temporary, contents);
    files.rename(temporary, path);  // the commit
    files.sync_directory(root);
  } catch (const Error&) {
    try {
      remove_tree(files, temporary);  // give the space back now
    } catch (const Error&) {          // the first error is the one to report; the next save tries again
    }
    throw;
  }
  write_file_atomic(files, root + "/LATEST", name + "\n");
  return path;
}

Checkpoint load_checkpoint(const std::string& given) {
  const std::string path = without_trailing_slashes(given);
  if (!exists(path)) throw Error(ExitCode::kNoInput, path + ": expected a checkpoint, found nothing");
  std::error_code ignored;
  if (!fs::is_directory(fs::symlink_status(path, ignored)))
    throw Error(ExitCode::kBadData, path + ": expected a checkpoint directory, found something else");
  if (fs::path(path).filename() == kBest) {
    if (std::optional<Checkpoint> best = find_newest_valid(path, [](const std::string&) {})) return std::move(*best);
  }
  if (!is_step_name(fs::path(path).filename().string())) wrong_name(path);
  try {
    return load_verified(path);
  } catch (const NewerFormat&) {
    throw;
  } catch (const Error& error) {
    if (error.code() != ExitCode::kNoInput) throw;
    throw Error(ExitCode::kBadData, error.what());  // a file is missing from a directory that is there
  }
}

namespace {

// `pass_over` says what became of a damaged one; `advice` is for who has no other.
std::optional<Checkpoint> find_newest(const std::string& root, const Warn& warn, const std::string& advice,
                                      const std::function<std::string(const std::string& path)>& pass_over) {
  size_t damaged =
      list(root, [](const auto& n) { return n.starts_with(kStepPrefix) && n.ends_with(kCorruptSuffix); }).size();
  for (const std::string& name : committed(root)) {
    const std::string path = root + "/" + name;
    try {
      return load_checkpoint(path);
    } catch (const NewerFormat&) {
      throw;
    } catch (const Error& error) {
      if (error.code() != ExitCode::kBadData) throw;  // no permission, no memory: says nothing about the checkpoint
      ++damaged;
      warn(std::string(error.what()) + "; " + pass_over(path));
    }
  }
  if (damaged == 0) return std::nullopt;
  throw Error(ExitCode::kBadData, root + ": expected a valid checkpoint, found " + std::to_string(damaged) +
                                      " damaged and no other" + advice);
}

}  // namespace

std::optional<Checkpoint> find_newest_valid(FileSystem& files, const std::string& root, const Warn& warn) {
  return find_newest(root, warn, "; --fresh starts over",
                     [&](const std::string& path) { return "set aside as " + set_aside(files, path); });
}

std::optional<Checkpoint> find_newest_valid(const std::string& root, const Warn& warn) {
  return find_newest(root, warn, "", [](const std::string&) { return std::string("passed over"); });
}

namespace {

void prune(FileSystem& files, const std::string& root, const std::string& name) {
  // Away from its name first: a crash half-way must not leave half a checkpoint under it.
  const std::string going = root + "/" + std::string(kTemporaryPrefix) + "pruned-" + name;
  remove_tree(files, going);
  files.rename(root + "/" + name, going);
  remove_tree(files, going);
}

}  // namespace

void prune_checkpoints(FileSystem& files, const std::string& root, int keep) {
  CHECK(keep >= 1, "prune_checkpoints");
  const std::vector<std::string> names = committed(root);
  for (size_t i = static_cast<size_t>(keep); i < names.size(); ++i) prune(files, root, names[i]);
}

void remove_checkpoint(FileSystem& files, const std::string& root, int64_t step) {
  if (exists(root + "/" + step_name(step))) prune(files, root, step_name(step));
}

void keep_only_checkpoint(FileSystem& files, const std::string& root, int64_t step) {
  for (const std::string& name : committed(root)) {
    if (name != step_name(step)) prune(files, root, name);
  }
}

}  // namespace convoy
