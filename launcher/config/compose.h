// From files and command line to one tree: `base:` inheritance, overrides, `${env:…}`, and paths.
//
// Later wins: the files that base names in their order, the file itself, then each key=value.  Maps merge key by key,
// everything else replaces.  `key: null` removes an inherited key.  Of two keys that exclude each other (epochs and
// steps), the later one removes the inherited other.
#pragma once

#include <string>
#include <vector>

#include "launcher/config/yaml.h"

namespace convoy {

// The tree of the experiment in `path` with everything above applied; `base` is gone.
// Throws Error(kNoInput) for a missing file, Error(kUsage) for an override that is not key=value, else Error(kConfig).
Node compose(const std::string& path, const std::vector<std::string>& overrides);

// Each key=value on top of `tree`.
void apply_overrides(Node& tree, const std::vector<std::string>& overrides);

// Replaces `${env:NAME}` and `${env:NAME:default}` in every scalar; `$${` is a literal `${`.  `path` is that of `tree`,
// for messages.
void interpolate(Node& tree, const std::string& path = "");

// The inverse for printing: interpolate() gives the tree back.
void escape_interpolation(Node& tree);

// The same of text that came in somebody else's file: there `${env:NAME}` is an error, Error(kConfig), so that no file
// reads the environment of who opens it.
void unescape_interpolation(Node& tree, const std::string& path = "");

// An absolute path: relative to the file that says `text` if that exists, else to the working directory.
std::string resolve_path(const std::string& text, const Mark& where);

// Keys of one section that exclude each other.
struct Exclusive {
  std::string_view section, one, other;
};
inline constexpr Exclusive kExclusive[] = {
    {"model", "config", "layers"},
    {"batch", "global", "per_rank"},
    {"batch", "micro", "per_rank"},
    {"train", "epochs", "steps"},
};

}  // namespace convoy
