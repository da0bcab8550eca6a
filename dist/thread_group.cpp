#include "dist/thread_group.h"

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "dist/window_queue.h"

namespace convoy {
namespace {

// What the threads share.  Outlives them.
class Group {
 public:
  explicit Group(int size) : slots_(static_cast<size_t>(size)), flags_(static_cast<size_t>(size)) {
    for (int r = 0; r < size; ++r) scratch_.copies.push_back(keep(WindowQueue::kScratchBytes));
    scratch_.bytes = WindowQueue::kScratchBytes;
  }

  int size() const { return static_cast<int>(flags_.size()); }
  const SharedRegion& scratch() const { return scratch_; }
  std::vector<RankFlags*> flags() {
    std::vector<RankFlags*> pointers;
    for (RankFlags& it : flags_) pointers.push_back(&it);
    return pointers;
  }

  // Memory that lives as long as the group: a rank that unwinds must not free what its peers still read.
  std::byte* keep(int64_t bytes) {
    const std::lock_guard lock(mutex_);
    return memory_.emplace_back(*allocator_, bytes).as<std::byte>();
  }

  // Everyone's contribution, by rank.
  std::vector<std::string> exchange(int rank, std::string mine) {
    std::unique_lock lock(mutex_);
    slots_[static_cast<size_t>(rank)] = std::move(mine);
    meet(lock);
    std::vector<std::string> all = slots_;
    meet(lock);  // nobody writes its next one before all have read
    return all;
  }

  void fail(int rank) {
    const std::lock_guard lock(mutex_);
    if (failed_rank_ < 0) failed_rank_ = rank;
    all_here_.notify_all();
  }

 private:
  void meet(std::unique_lock<std::mutex>& lock) {
    const uint64_t meeting = meetings_;
    if (++here_ == size()) {
      here_ = 0;
      ++meetings_;
      all_here_.notify_all();
    }
    all_here_.wait(lock, [&] { return meetings_ != meeting || failed_rank_ >= 0; });
    if (meetings_ != meeting) return;
    throw PeerFailed(ExitCode::kUnavailable, "rank " + std::to_string(failed_rank_) + " failed; others waited for it");
  }

  std::unique_ptr<Allocator> allocator_ = make_host_allocator();
  std::mutex mutex_;
  std::condition_variable all_here_;
  // Guarded by mutex_.
  std::vector<Buffer> memory_;
  std::vector<std::string> slots_;
  int here_ = 0;
  uint64_t meetings_ = 0;
  int failed_rank_ = -1;
  // Not guarded: atomics, and fixed after construction.
  std::vector<RankFlags> flags_;
  SharedRegion scratch_;
};

class ThreadCommunicator : public QueueCommunicator, private Allocator {
 public:
  ThreadCommunicator(Group& group, int rank)
      : group_(group), rank_(rank), queue_(rank, group.flags(), group.scratch()) {}

  int rank() const override { return rank_; }
  int size() const override { return group_.size(); }
  int local_rank() const override { return rank_; }
  int local_size() const override { return group_.size(); }
  std::string name() const override { return "threads"; }
  Allocator& allocator() override { return *this; }

  void barrier() override { all_gather_bytes(""); }
  std::vector<std::string> all_gather_bytes(const std::string& mine) override {
    queue_.synchronize();
    return group_.exchange(rank_, mine);
  }
  std::string broadcast_bytes(const std::string& mine, int root) override {
    return all_gather_bytes(rank_ == root ? mine : "")[static_cast<size_t>(root)];
  }
  [[noreturn]] void abort(ExitCode code) noexcept override { std::_Exit(static_cast<int>(code)); }

  void fail() {
    queue_.fail();
    group_.fail(rank_);
  }

 private:
  CollectiveQueue& queue() override { return queue_; }

  void* allocate(int64_t bytes) override {
    std::byte* mine = group_.keep(bytes);
    SharedRegion region{{}, bytes};
    for (const std::string& it : all_gather_bytes(std::string(reinterpret_cast<const char*>(&mine), sizeof mine))) {
      std::memcpy(&region.copies.emplace_back(), it.data(), sizeof mine);
    }
    queue_.add(std::move(region));
    return mine;
  }
  void deallocate(void* data, int64_t) noexcept override { queue_.remove(static_cast<std::byte*>(data)); }

  Group& group_;
  const int rank_;
  WindowQueue queue_;
};

struct Outcome {
  std::exception_ptr error;
  bool own = false;  // not the echo of a peer's failure
};

Outcome run_rank(Group& group, int rank, const std::function<void(Communicator&)>& body) {
  ThreadCommunicator communicator(group, rank);
  try {
    body(communicator);
    return {};
  } catch (const PeerFailed&) {
    communicator.fail();
    return {std::current_exception(), false};
  } catch (...) {
    communicator.fail();
    return {std::current_exception(), true};
  }
}

}  // namespace

void run_thread_group(int size, const std::function<void(Communicator&)>& body) {
  CHECK(size >= 1);
  Group group(size);
  std::vector<Outcome> outcomes(static_cast<size_t>(size));
  {
    std::vector<std::jthread> threads;
    for (int r = 0; r < size; ++r) {
      threads.emplace_back([&, r] { outcomes[static_cast<size_t>(r)] = run_rank(group, r, body); });
    }
  }
  for (const Outcome& it : outcomes) {
    if (it.own) std::rethrow_exception(it.error);
  }
  for (const Outcome& it : outcomes) {
    if (it.error) std::rethrow_exception(it.error);
  }
}

}  // namespace convoy
