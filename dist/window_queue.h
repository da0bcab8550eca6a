// Collectives among ranks that share memory: processes of one host (MPI shared window) or threads (thread group).
//
// Every rank sees every rank's copy of a tensor.  A sum is cut into one slice per rank; a rank adds its slice of all
// copies and writes the sum into all copies, in place.  Two counters per rank, in shared memory, keep order:
//
//   posted   units of work whose data this rank has made ready          (a unit is a collective, or a piece of one)
//   done     units of work of which this rank has finished its share
//
// A rank may work on unit k when all have posted it, and owns its data again when all have done it.  Ranks run ahead of
// each other as far as that allows; nothing else is agreed on, and nothing blocks but synchronize().
// Tensors outside the shared memory are copied through scratch slots, piece by piece.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "dist/collective_queue.h"

namespace convoy {

// One rank's counters, in memory that all ranks see; starts zeroed.  Written by that rank only.
struct RankFlags {
  static constexpr uint64_t kAhead = 256;  // units a rank may post before the oldest is done everywhere

  alignas(64) std::atomic<uint64_t> posted{0};
  alignas(64) std::atomic<uint64_t> done{0};
  alignas(64) std::atomic<bool> failed{false};
  alignas(64) std::array<std::atomic<uint64_t>, kAhead> signature{};  // what unit k is, at k % kAhead
};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "locks do not work between processes");

// Memory that every rank has one copy of; all copies are mapped into this process.
struct SharedRegion {
  std::vector<std::byte*> copies;  // by rank
  int64_t bytes = 0;               // of each copy
};

// Thrown where a rank waits for one that has failed.
class PeerFailed : public Error {
 public:
  using Error::Error;
};

class WindowQueue final : public CollectiveQueue {
 public:
  static constexpr int64_t kSlotBytes = int64_t{128} << 10;  // all slots of a rank fit its L2 cache
  static constexpr int64_t kSlots = 8;
  static constexpr int64_t kScratchBytes = kSlots * kSlotBytes;

  // `flags` by rank; `scratch` of kScratchBytes.  Their memory must outlive the queues of all ranks.
  WindowQueue(int rank, std::vector<RankFlags*> flags, SharedRegion scratch);

  // Tensors within a region are reduced in place.  All ranks add and remove the same regions between the same
  // collectives.  remove() names a region by this rank's copy; false if there is none.
  void add(SharedRegion region);
  bool remove(const std::byte* mine);

  void enqueue(const Collective& collective) override;
  void progress() override;
  int64_t in_flight() override { return static_cast<int64_t>(units_.size()); }
  uint64_t mark() override { return completed_ + units_.size(); }
  // Throws PeerFailed when a peer calls fail(), and Error(kRanksDisagree) when peers are at another collective.
  void wait_past(uint64_t mark) override;
  std::vector<double> take_busy_seconds() override { return std::exchange(times_, {}); }

  // Tells waiting peers that this rank will not come.  Any thread.
  void fail() noexcept;

 private:
  // What ranks do in one go: a collective on elements [begin, end) of its tensor, which lie at copies[r] + offset.
  struct Unit {
    Collective collective;
    ElementRange range;
    const SharedRegion* region;
    int64_t offset;
    bool staged;
    bool last = true;  // of its collective
    double busy_seconds = 0;
    int64_t bytes() const { return range.size() * size_of(collective.tensor.type.dtype); }
    std::byte* mine() const;  // where the elements are in the tensor
  };

  int size() const { return static_cast<int>(flags_.size()); }
  const SharedRegion* region_of(const std::byte* data, int64_t bytes) const;
  void enqueue_staged(const Collective& collective);
  bool advance();
  bool can_post() const;
  void post();
  void work();
  void complete();
  Unit& unit(uint64_t number) { return units_[number - completed_]; }
  ElementRange share(const Unit& unit) const;
  void check_peers(uint64_t number, const Unit& unit) const;
  std::span<std::byte* const> copies(const Unit& unit, int64_t element);
  uint64_t least(std::atomic<uint64_t> RankFlags::*counter) const;
  void throw_if_peer_failed() const;

  const int rank_;
  const std::vector<RankFlags*> flags_;
  const SharedRegion scratch_;
  std::map<const std::byte*, SharedRegion> regions_;  // by the start of this rank's copy

  // Units are numbered from 0; units_[0] is number completed_.  completed_ <= worked_ <= posted_.
  std::deque<Unit> units_;
  uint64_t posted_ = 0, worked_ = 0, completed_ = 0;
  uint64_t posted_by_all_ = 0, done_by_all_ = 0;  // as last seen
  int64_t next_slot_ = 0, slots_in_flight_ = 0;
  double busy_seconds_ = 0;  // of the units of a collective that have ended
  std::vector<double> times_;
  std::vector<std::byte*> pointers_;  // of copies(); kept to save the allocation
};

}  // namespace convoy
