// The entries of a directory.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace convoy {

// What is in a directory and is not hidden, by name.  Throws Error(kNoInput) naming a directory that cannot be read.
std::vector<std::filesystem::directory_entry> entries_of(const std::string& directory);

}  // namespace convoy
