#include "core/data/skip_bad.h"

#include <optional>
#include <utility>

#include "core/base/error.h"

namespace convoy {

SkipBad::SkipBad(std::unique_ptr<Dataset> all, int64_t most, Report report)
    : all_(std::move(all)), most_(most), report_(std::move(report)) {}

int SkipBad::read(int64_t i, int64_t epoch, uint8_t* pixels) const {
  std::optional<BadSample> bad;
  for (int64_t j = i;; j = (j + 1) % size()) {
    int label = 0;
    try {
      label = all_->read(j, epoch, pixels);
    } catch (const Error& error) {
      const bool of_the_data = error.code() == ExitCode::kBadData || error.code() == ExitCode::kNoInput;
      const bool another = (j + 1) % size() != i;  // that might take its place
      if (!of_the_data || !another) throw;
      if (!bad) bad = BadSample{i, i, error.what()};
      continue;
    }
    if (!bad) return label;
    bad->replacement = j;
    note(*bad);
    return label;
  }
}

void SkipBad::note(const BadSample& bad) const {
  const std::lock_guard lock(mutex_);
  if (!known_.insert(bad.id).second) return;
  report_(bad);
  if (static_cast<int64_t>(known_.size()) <= most_) return;
  throw Error(ExitCode::kBadData, "more than " + std::to_string(most_) + " of " + std::to_string(size()) +
                                      " samples cannot be read (data.max_bad); the last: " + bad.reason);
}

}  // namespace convoy
