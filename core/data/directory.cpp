#include "core/data/directory.h"

#include <algorithm>

#include "core/base/error.h"

namespace convoy {

std::vector<std::filesystem::directory_entry> entries_of(const std::string& directory) {
  std::vector<std::filesystem::directory_entry> entries;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error))
    if (!entry->path().filename().string().starts_with('.')) entries.push_back(*entry);
  if (error) throw Error(ExitCode::kNoInput, directory + ": cannot read the directory: " + error.message());
  std::ranges::sort(entries, {},
                    [](const std::filesystem::directory_entry& entry) { return entry.path().filename().string(); });
  return entries;
}

}  // namespace convoy
