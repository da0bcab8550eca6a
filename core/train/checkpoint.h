// Checkpoints: directories that are either complete and verified, or not there.  docs/checkpoint-format.md.
//
//   <root>/step-0000001234/{model,optimizer,state}.safetensors, manifest.json
//   <root>/LATEST                       a hint for people; never read
//   <root>/step-0000001234.corrupt      set aside, not deleted
//
// Knows tensors by name only.  One rank per run saves, searches and prunes; any rank may load.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.h"
#include "core/io/manifest.h"
#include "core/io/safetensors.h"

namespace convoy {

// What to save.  The tensors are views that must stay unchanged until save_checkpoint() returns.
struct CheckpointContents {
  Manifest manifest;                   // `files` is filled in when saved
  std::vector<NamedTensor> model;      // weights and running statistics
  std::vector<NamedTensor> optimizer;  // momentum and the like, named after the weights
  std::vector<NamedTensor> state;      // anything else that training goes on from
  std::map<std::string, std::string> model_metadata = {}, optimizer_metadata = {}, state_metadata = {};  // of the files
};

// A loaded one; every byte was verified against its manifest.
struct Checkpoint {
  std::string path;
  Manifest manifest;
  SafetensorsFile model, optimizer, state;
};

// Averages of weights and statistics lie in `state` under the name of what they are averages of, and this.
inline constexpr std::string_view kAverageEnding = ".ema";
// Of a file's tensors, those averages, without the ending; none where there are none.
std::map<std::string, std::vector<float>> averages_in(const std::vector<NamedTensor>& tensors);

using Warn = std::function<void(const std::string& message)>;

// Commits <root>/step-<manifest.step> and returns its path.  A crash at any moment leaves the old state or the new.
// A valid checkpoint of this step that is already there is kept as it is.  Throws Error (kIo, kCannotCreate,
// kPermission); then the space is given back, older checkpoints are untouched, and the caller may train on.
std::string save_checkpoint(FileSystem& files, const std::string& root, const CheckpointContents& contents);

// `path` is a step directory, or one called `best` that has some: then the newest valid one; slashes at its end do not
// count.  Throws Error: kNoInput if there is none, kBadData
// naming the file that is damaged or missing, or the checkpoints below a directory that is none itself, NewerFormat.
Checkpoint load_checkpoint(const std::string& path);

// The valid checkpoint of the highest step; nullopt if there never was one.  Damaged ones are renamed *.corrupt, with a
// warning each.  Throws Error(kBadData) if there are only damaged ones, NewerFormat if the highest is from the future.
std::optional<Checkpoint> find_newest_valid(FileSystem& files, const std::string& root, const Warn& warn);

// The same for who only reads, perhaps beside a run that writes: changes nothing, passes over damaged ones.
std::optional<Checkpoint> find_newest_valid(const std::string& root, const Warn& warn);

// Removes all but the `keep` highest steps.  Requires: keep >= 1 (2, if disks may rot).
void prune_checkpoints(FileSystem& files, const std::string& root, int keep);

// Removes the one of this step, if there is one, or all others.
void remove_checkpoint(FileSystem& files, const std::string& root, int64_t step);
void keep_only_checkpoint(FileSystem& files, const std::string& root, int64_t step);

}  // namespace convoy
