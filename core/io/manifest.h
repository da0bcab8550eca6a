// manifest.json of a checkpoint: what it is of, and size and hash of each of its files.  docs/checkpoint-format.md.
//
// The text ends with a hash of itself, so that any changed byte is found, in the manifest too.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/io/safetensors.h"

namespace convoy {

inline constexpr int kManifestFormat = 1;

struct Manifest {
  int64_t step = 0;              // optimizer updates done
  int64_t epoch = 0;             // the data cursor: this many epochs are done …
  int64_t samples_in_epoch = 0;  // … and this many samples of the present one
  uint64_t seed = 0;
  int world = 1;
  int64_t global_batch = 0;
  int micro_batch = 0;
  std::string config_hash;                   // of the resolved configuration
  std::string data_hash;                     // Dataset::fingerprint()
  std::map<std::string, std::string> facts;  // what bitwise equality needs: versions, threads, instruction set, …
  std::map<std::string, FileDigest> files;   // by name
};

// Written by a later version of Convoy: not damaged, so it must neither be skipped nor set aside.
class NewerFormat : public Error {
 public:
  using Error::Error;
};

std::string format_manifest(const Manifest& manifest);

// `file` is for messages.  Throws Error(kBadData), or NewerFormat naming both versions.
Manifest parse_manifest(std::string_view text, const std::string& file);

}  // namespace convoy
