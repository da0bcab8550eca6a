#include "core/data/ram_cache.h"

#include <cstring>
#include <new>
#include <utility>

#include "core/base/error.h"

namespace convoy {
namespace {

// Not touched, so that the system gives a page when it is first written.
uint8_t* reserve(const Dataset& data) {
  const int64_t bytes = data.size() * data.sample().elements();
  auto* const memory = new (std::nothrow) uint8_t[static_cast<size_t>(bytes)];
  if (memory != nullptr) return memory;
  throw Error(ExitCode::kOutOfMemory, "data.cache: ram: no room for " + std::to_string(bytes >> 20) + " MiB of " +
                                          std::to_string(data.size()) + " decoded samples");
}

}  // namespace

RamCache::RamCache(std::unique_ptr<Dataset> all)
    : all_(std::move(all)),
      sample_bytes_(static_cast<size_t>(all_->sample().elements())),
      pixels_(reserve(*all_)),
      states_(static_cast<size_t>(all_->size())),
      labels_(static_cast<size_t>(all_->size())) {}

int RamCache::read(int64_t i, int64_t epoch, uint8_t* pixels) const {
  const auto at = static_cast<size_t>(i);
  uint8_t* const kept = pixels_.get() + at * sample_bytes_;
  if (states_[at].load(std::memory_order_acquire) == kPresent) {
    std::memcpy(pixels, kept, sample_bytes_);
    return labels_[at];
  }
  const int label = all_->read(i, epoch, pixels);
  State absent = kAbsent;
  if (states_[at].compare_exchange_strong(absent, kBeingKept)) {
    std::memcpy(kept, pixels, sample_bytes_);
    labels_[at] = label;
    states_[at].store(kPresent, std::memory_order_release);
  }
  return label;
}

void RamCache::will_read(int64_t i) const {
  if (states_[static_cast<size_t>(i)].load(std::memory_order_relaxed) == kAbsent) all_->will_read(i);
}

}  // namespace convoy
