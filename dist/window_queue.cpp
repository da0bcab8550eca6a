#include "dist/window_queue.h"

#include <chrono>
#include <cstring>
#include <string>

#include "dist/backoff.h"
#include "dist/rank_sum.h"

namespace convoy {
namespace {

constexpr int64_t kCacheLine = 64;

// Slice r of `elements`, cut between cache lines so that no two ranks write the same one.
ElementRange slice_of_rank(int rank, int ranks, int64_t elements, Dtype dtype) {
  const int64_t line = kCacheLine / size_of(dtype);
  const int64_t lines = (elements + line - 1) / line;
  return {std::min(lines * rank / ranks * line, elements), std::min(lines * (rank + 1) / ranks * line, elements)};
}

// Adds the time that it lives to `seconds`.
class BusyTime {
 public:
  explicit BusyTime(double& seconds) : seconds_(seconds) {}
  ~BusyTime() { seconds_ += std::chrono::duration<double>(Clock::now() - begin_).count(); }
  BusyTime(const BusyTime&) = delete;
  BusyTime& operator=(const BusyTime&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  double& seconds_;
  const Clock::time_point begin_ = Clock::now();
};

// A unit in 64 bits, to compare and to print.
struct Signature {
  uint64_t bits;
  Signature(const Collective& it, bool staged, int64_t bytes)
      : bits(uint64_t(it.kind) << 60 | uint64_t(it.tensor.type.dtype) << 56 | uint64_t(staged) << 55 |
             uint64_t(it.root & 0x7fff) << 40 | (uint64_t(bytes) & 0xff'ffff'ffff)) {}
  explicit Signature(uint64_t value) : bits(value) {}
};

std::string to_string(Signature signature) {
  const auto kind = static_cast<Collective::Kind>(signature.bits >> 60);
  const auto dtype = static_cast<Dtype>(signature.bits >> 56 & 15);
  const std::string root = kind == Collective::Kind::kBroadcast
                               ? " from rank " + std::to_string(signature.bits >> 40 & 0x7fff)
                               : std::string();
  return std::string(to_string(kind)) + root + " of " + std::to_string(signature.bits & 0xff'ffff'ffff) + " bytes " +
         to_string(dtype) + ((signature.bits >> 55 & 1) != 0 ? " in private memory" : " in the window");
}

}  // namespace

WindowQueue::WindowQueue(int rank, std::vector<RankFlags*> flags, SharedRegion scratch)
    : rank_(rank), flags_(std::move(flags)), scratch_(std::move(scratch)), pointers_(flags_.size()) {
  CHECK(scratch_.copies.size() == flags_.size() && scratch_.bytes >= kScratchBytes);
}

void WindowQueue::add(SharedRegion region) {
  CHECK(region.copies.size() == flags_.size());
  const std::byte* mine = region.copies[static_cast<size_t>(rank_)];
  regions_.emplace(mine, std::move(region));
}

bool WindowQueue::remove(const std::byte* mine) { return regions_.erase(mine) != 0; }

const SharedRegion* WindowQueue::region_of(const std::byte* data, int64_t bytes) const {
  auto next = regions_.upper_bound(data);
  if (next == regions_.begin()) return nullptr;
  const auto& [start, region] = *std::prev(next);
  return data + bytes <= start + region.bytes ? &region : nullptr;
}

void WindowQueue::enqueue(const Collective& collective) {
  const Tensor& tensor = collective.tensor;
  const auto* data = tensor.as<std::byte>();
  if (const SharedRegion* region = region_of(data, tensor.type.bytes())) {
    const int64_t offset = data - region->copies[static_cast<size_t>(rank_)];
    units_.push_back({collective, {0, tensor.type.shape.elements()}, region, offset, false});
  } else {
    enqueue_staged(collective);
  }
  while (can_post()) post();
}

void WindowQueue::enqueue_staged(const Collective& collective) {
  const ValueType& type = collective.tensor.type;
  const int64_t elements = type.shape.elements(), per_slot = kSlotBytes / size_of(type.dtype);
  for (int64_t begin = 0; begin < elements; begin += per_slot) {
    const ElementRange range{begin, std::min(begin + per_slot, elements)};
    units_.push_back({collective, range, &scratch_, next_slot_ * kSlotBytes, true, range.end == elements});
    next_slot_ = (next_slot_ + 1) % kSlots;
  }
}

void WindowQueue::progress() {
  while (advance()) {
  }
}

void WindowQueue::wait_past(uint64_t mark) {
  Backoff backoff(500, 2000);
  while (completed_ < mark) {
    if (advance()) {
      backoff.reset();
    } else {
      throw_if_peer_failed();
      backoff.wait();
    }
  }
}

bool WindowQueue::advance() {
  bool moved = false;
  for (; can_post(); moved = true) post();
  if (worked_ == posted_by_all_) posted_by_all_ = least(&RankFlags::posted);
  for (; worked_ < posted_by_all_ && worked_ < posted_; moved = true) work();
  if (completed_ == done_by_all_) done_by_all_ = least(&RankFlags::done);
  for (; completed_ < done_by_all_; moved = true) complete();
  return moved;
}

bool WindowQueue::can_post() const {
  const uint64_t ahead = posted_ - completed_;
  if (ahead == units_.size() || ahead == RankFlags::kAhead) return false;
  return !units_[ahead].staged || slots_in_flight_ < kSlots;
}

void WindowQueue::post() {
  Unit& next = unit(posted_);
  if (next.staged) {
    const BusyTime busy(next.busy_seconds);
    std::memcpy(scratch_.copies[static_cast<size_t>(rank_)] + next.offset, next.mine(),
                static_cast<size_t>(next.bytes()));
    ++slots_in_flight_;
  }
  RankFlags& mine = *flags_[static_cast<size_t>(rank_)];
  const Signature signature(next.collective, next.staged, next.collective.tensor.type.bytes());
  mine.signature[posted_ % RankFlags::kAhead].store(signature.bits, std::memory_order_relaxed);
  mine.posted.store(++posted_, std::memory_order_release);
}

void WindowQueue::work() {
  Unit& next = unit(worked_);
  const BusyTime busy(next.busy_seconds);
  check_peers(worked_, next);
  const ElementRange mine = share(next);
  const std::span<std::byte* const> all = copies(next, mine.begin);
  const Dtype dtype = next.collective.tensor.type.dtype;
  const auto self = all.subspan(static_cast<size_t>(rank_), 1);
  const auto root = all.subspan(static_cast<size_t>(next.collective.root), 1);
  switch (next.collective.kind) {
    case Collective::Kind::kAllReduce: sum_over_ranks(dtype, all, all, mine.size()); break;
    case Collective::Kind::kReduceScatter: sum_over_ranks(dtype, all, self, mine.size()); break;
    case Collective::Kind::kAllGather: sum_over_ranks(dtype, self, all, mine.size()); break;
    case Collective::Kind::kBroadcast: sum_over_ranks(dtype, root, self, mine.size()); break;
  }
  flags_[static_cast<size_t>(rank_)]->done.store(++worked_, std::memory_order_release);
}

void WindowQueue::complete() {
  Unit& oldest = units_.front();
  if (oldest.staged) {
    const BusyTime busy(oldest.busy_seconds);
    std::memcpy(oldest.mine(), scratch_.copies[static_cast<size_t>(rank_)] + oldest.offset,
                static_cast<size_t>(oldest.bytes()));
    --slots_in_flight_;
  }
  busy_seconds_ += oldest.busy_seconds;
  if (oldest.last) add_time(times_, std::exchange(busy_seconds_, 0));
  units_.pop_front();
  ++completed_;
}

// This rank's share of a unit, in elements from the unit's start.
ElementRange WindowQueue::share(const Unit& unit) const {
  const ValueType& type = unit.collective.tensor.type;
  const int64_t elements = unit.range.size();
  if (unit.collective.kind == Collective::Kind::kBroadcast) return {0, elements};
  if (unit.collective.kind == Collective::Kind::kAllReduce) return slice_of_rank(rank_, size(), elements, type.dtype);
  const ElementRange part = part_of_rank(rank_, size(), type.shape.elements());
  return {std::clamp<int64_t>(part.begin - unit.range.begin, 0, elements),
          std::clamp<int64_t>(part.end - unit.range.begin, 0, elements)};
}

// Every rank's pointer to `element`, counted from the unit's start.
std::span<std::byte* const> WindowQueue::copies(const Unit& unit, int64_t element) {
  const int64_t offset = unit.offset + element * size_of(unit.collective.tensor.type.dtype);
  for (size_t r = 0; r < pointers_.size(); ++r) pointers_[r] = unit.region->copies[r] + offset;
  return pointers_;
}

std::byte* WindowQueue::Unit::mine() const {
  return collective.tensor.as<std::byte>() + range.begin * size_of(collective.tensor.type.dtype);
}

uint64_t WindowQueue::least(std::atomic<uint64_t> RankFlags::*counter) const {
  uint64_t least = UINT64_MAX;
  for (const RankFlags* it : flags_) least = std::min(least, (it->*counter).load(std::memory_order_acquire));
  return least;
}

// A wrong collective would destroy memory of all ranks, so each rank looks before it touches anything.
void WindowQueue::check_peers(uint64_t number, const Unit& unit) const {
  const Signature mine(unit.collective, unit.staged, unit.collective.tensor.type.bytes());
  for (size_t r = 0; r < flags_.size(); ++r) {
    const Signature theirs(flags_[r]->signature[number % RankFlags::kAhead].load(std::memory_order_relaxed));
    if (theirs.bits == mine.bits) continue;
    throw Error(ExitCode::kRanksDisagree, "collective " + std::to_string(number) + ": rank " + std::to_string(rank_) +
                                              " is at " + to_string(mine) + ", rank " + std::to_string(r) + " at " +
                                              to_string(theirs));
  }
}

void WindowQueue::throw_if_peer_failed() const {
  for (size_t r = 0; r < flags_.size(); ++r) {
    if (!flags_[r]->failed.load(std::memory_order_relaxed)) continue;
    throw PeerFailed(ExitCode::kUnavailable,
                     "rank " + std::to_string(r) + " failed; rank " + std::to_string(rank_) + " waited for it");
  }
}

void WindowQueue::fail() noexcept { flags_[static_cast<size_t>(rank_)]->failed.store(true); }

}  // namespace convoy
