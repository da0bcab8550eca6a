#include "launcher/bad_samples.h"

#include <fcntl.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace convoy {

BadSamples::~BadSamples() { flush(); }

SkipBad::Report BadSamples::reporter(Split split) {
  return [this, split](const BadSample& bad) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({split, bad});
    ++count_;
  };
}

void BadSamples::open(const std::string& path) {
  file_ = FileDescriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (file_.get() >= 0) return;
  throw Error(ExitCode::kCannotCreate, path + ": " + std::generic_category().message(errno));
}

void BadSamples::flush() {
  std::vector<Entry> entries;
  {
    const std::lock_guard lock(mutex_);
    entries.swap(waiting_);
  }
  for (const auto& [split, bad] : entries) {
    log_.warning("skipped: " + bad.reason);
    if (file_.get() < 0) continue;
    const nlohmann::ordered_json json = {{"split", split == Split::kTrain ? "train" : "test"},
                                         {"sample", bad.id},
                                         {"replacement", bad.replacement},
                                         {"rank", rank_},
                                         {"reason", bad.reason}};
    const std::string line = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    [[maybe_unused]] const auto written = write(file_.get(), line.data(), line.size());  // the log has it
  }
}

size_t BadSamples::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

int64_t BadSamples::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

}  // namespace convoy
