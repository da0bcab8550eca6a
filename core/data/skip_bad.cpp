#include "core/data/skip_bad.h"

#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace convoy {

SkipBad::SkipBad(std::unique_ptr<Dataset> all, int64_t most, Report report, std::shared_ptr<Known> known)
    : all_(std::move(all)), most_(most), report_(std::move(report)), known_(std::move(known)) {}

int SkipBad::read(int64_t i, int64_t epoch, uint8_t* pixels) const {
  std::vector<BadSample> bad;  // i and those behind it
  for (int64_t j = i;; j = (j + 1) % size()) {
    std::optional<int> label;
    try {
      label = all_->read(j, epoch, pixels);
    } catch (const Error& error) {
      const bool of_the_data = error.code() == ExitCode::kBadData || error.code() == ExitCode::kNoInput;
      if (!of_the_data) throw;
      bad.push_back({j, j, error.what()});
    }
    if (label && bad.empty()) return *label;
    for (BadSample& one : bad) one.replacement = j;
    const auto found = static_cast<int64_t>(bad.size());
    if (label || found > most_ || found == size()) note(bad);
    if (label) return *label;
    if (found == size()) too_many(bad);
  }
}

void SkipBad::note(const std::vector<BadSample>& bad) const {
  const std::lock_guard lock(known_->mutex);
  for (const BadSample& one : bad) {
    if (known_->ids.insert(one.id).second) report_(one);
  }
  if (static_cast<int64_t>(known_->ids.size()) > most_) too_many(bad);
}

void SkipBad::too_many(const std::vector<BadSample>& bad) const {
  throw Error(ExitCode::kBadData, "more than " + std::to_string(most_) + " of " + std::to_string(size()) +
                                      " samples cannot be read (data.max_bad); the last: " + bad.front().reason);
}

}  // namespace convoy
