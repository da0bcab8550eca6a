#include "tests/cuda_on_cpu/blocks.h"

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "tests/cuda_on_cpu/fibre.h"

namespace convoy::cuda_on_cpu {
namespace {

constexpr int kMostThreads = 1024, kLanes = 32;

enum class State : uint8_t { kFresh, kReady, kRunning, kAtBarrier, kInWarp, kEnded };

struct Thread {
  State state = State::kFresh;
  WarpOperation operation{};  // while kInWarp
  unsigned mask = 0;
  int source = 0;
  uint64_t value = 0;
  Fibre* fibre = nullptr;
};

std::string to_string(const uint3& at) {
  return "(" + std::to_string(at.x) + "," + std::to_string(at.y) + "," + std::to_string(at.z) + ")";
}

// One block at a time, on the thread of the host that owns it.
class BlockRunner {
 public:
  void run(dim3 grid, dim3 block, const std::function<void()>& body);
  void barrier();
  uint64_t meet(WarpOperation operation, unsigned mask, uint64_t value, int source);
  int lane() const { return current_ % kLanes; }
  void fibre_body();

 private:
  void arrange(uint64_t seed);
  void run_block();
  int take_next();  // of the ready threads; -1 if there is none
  void start(int thread);
  void make_ready(int thread, State state);
  void wait(State state);
  [[noreturn]] void fail(const char* what);
  std::string who_waits() const;

  const std::function<void()>* body_ = nullptr;
  int count_ = 0;  // threads of a block
  std::array<Thread, kMostThreads> threads_;
  std::array<int, kMostThreads> order_{}, place_{};        // thread at a place in the order, and the inverse
  std::array<uint64_t, kMostThreads / 64> ready_{};        // bits by place
  std::array<unsigned, kMostThreads / kLanes> in_warp_{};  // bits of lanes that wait for others of their warp
  int current_ = 0, at_barrier_ = 0, ended_ = 0;
  std::string fault_;
  std::vector<std::unique_ptr<Fibre>> fibres_;
  std::vector<Fibre*> free_;
};

BlockRunner& runner() {
  static thread_local const auto runner = std::make_unique<BlockRunner>();
  return *runner;
}

void BlockRunner::arrange(uint64_t seed) {
  const KernelSettings& settings = kernel_settings();
  const auto end = order_.begin() + count_;
  std::iota(order_.begin(), end, 0);
  if (settings.order == Order::kBackward) std::reverse(order_.begin(), end);
  if (settings.order == Order::kShuffled) {
    std::minstd_rand random(static_cast<unsigned>(settings.seed * 1000003 + seed));
    std::array<unsigned, kMostThreads / kLanes> warp_keys{};
    std::array<unsigned, kMostThreads> keys{};
    for (unsigned& key : warp_keys) key = static_cast<unsigned>(random());
    for (unsigned& key : keys) key = static_cast<unsigned>(random());
    const auto key = [&](int thread) {
      return std::pair(warp_keys[static_cast<size_t>(thread / kLanes)], keys[static_cast<size_t>(thread)]);
    };
    std::ranges::sort(order_.begin(), end, {}, key);
  }
  for (int place = 0; place < count_; ++place) place_[static_cast<size_t>(order_[static_cast<size_t>(place)])] = place;
}

void BlockRunner::run(dim3 grid, dim3 block, const std::function<void()>& body) {
  body_ = &body;
  count_ = static_cast<int>(block.x * block.y * block.z);
  gridDim = grid;
  blockDim = block;
  uint64_t index = 0;
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x, ++index) {
        if (index == 0 || kernel_settings().order == Order::kShuffled) arrange(index);
        run_block();
      }
}

void BlockRunner::run_block() {
  at_barrier_ = ended_ = 0;
  in_warp_.fill(0);
  for (int thread = 0; thread < count_; ++thread) {
    threads_[static_cast<size_t>(thread)].fibre = nullptr;
    make_ready(thread, State::kFresh);
  }
  while (ended_ < count_ && fault_.empty()) {
    const int next = take_next();
    if (next < 0) {
      fault_ = who_waits();
      break;
    }
    Thread& thread = threads_[static_cast<size_t>(next)];
    if (thread.fibre == nullptr) {
      if (free_.empty()) free_.push_back(fibres_.emplace_back(new Fibre([] { runner().fibre_body(); })).get());
      thread.fibre = free_.back();
      free_.pop_back();
    }
    start(next);
    thread.fibre->resume();
  }
  if (fault_.empty()) return;
  ready_.fill(0);
  free_.clear();
  fibres_.clear();  // they hold what never went on
  throw KernelFault("block " + to_string(blockIdx) + " of " + to_string({gridDim.x, gridDim.y, gridDim.z}) + ", " +
                    std::to_string(count_) + " threads: " + std::exchange(fault_, ""));
}

int BlockRunner::take_next() {
  for (size_t word = 0; word < ready_.size(); ++word) {
    if (ready_[word] == 0) continue;
    const int bit = __builtin_ctzll(ready_[word]);
    ready_[word] &= ready_[word] - 1;
    return order_[word * 64 + static_cast<size_t>(bit)];
  }
  return -1;
}

void BlockRunner::make_ready(int thread, State state) {
  threads_[static_cast<size_t>(thread)].state = state;
  const int place = place_[static_cast<size_t>(thread)];
  ready_[static_cast<size_t>(place / 64)] |= uint64_t{1} << (place % 64);
}

void BlockRunner::start(int thread) {
  current_ = thread;
  threads_[static_cast<size_t>(thread)].state = State::kRunning;
  const auto index = static_cast<unsigned>(thread);
  threadIdx = {index % blockDim.x, index / blockDim.x % blockDim.y, index / blockDim.x / blockDim.y};
}

// Runs one thread after another to its end, as long as the next is fresh too: without barriers there are no switches.
void BlockRunner::fibre_body() {
  for (;;) {
    try {
      (*body_)();
    } catch (const std::exception& error) {
      fault_ = error.what();
    }
    Thread& ended = threads_[static_cast<size_t>(current_)];
    Fibre* fibre = std::exchange(ended.fibre, nullptr);
    ended.state = State::kEnded;
    ++ended_;
    const int next = fault_.empty() ? take_next() : -1;
    if (next >= 0 && threads_[static_cast<size_t>(next)].state == State::kFresh) {
      threads_[static_cast<size_t>(next)].fibre = fibre;
      start(next);
      continue;
    }
    if (next >= 0) make_ready(next, State::kReady);
    free_.push_back(fibre);
    fibre->pause();
  }
}

void BlockRunner::wait(State state) {
  Thread& self = threads_[static_cast<size_t>(current_)];
  self.state = state;
  self.fibre->pause();
}

// The stack is left as it is, so nothing on it may own memory.
void BlockRunner::fail(const char* what) {
  fault_ = "thread " + to_string(threadIdx) + " " + what;
  for (;;) threads_[static_cast<size_t>(current_)].fibre->pause();
}

void BlockRunner::barrier() {
  if (++at_barrier_ < count_) return wait(State::kAtBarrier);
  at_barrier_ = 0;
  for (int thread = 0; thread < count_; ++thread) {
    if (thread != current_) make_ready(thread, State::kReady);
  }
}

uint64_t BlockRunner::meet(WarpOperation operation, unsigned mask, uint64_t value, int source) {
  const auto warp = static_cast<size_t>(current_ / kLanes);
  Thread* const lanes = &threads_[warp * kLanes];
  Thread& self = lanes[lane()];
  if ((mask >> lane() & 1) == 0) fail("is not in the mask of its own warp operation");
  if (operation == WarpOperation::kShuffle && (mask >> source & 1) == 0) fail("reads a lane that is not in the mask");
  self.operation = operation;
  self.mask = mask;
  self.source = source;
  self.value = value;
  in_warp_[warp] |= 1U << lane();
  const auto agrees = [&](const Thread& other) { return other.operation == operation && other.mask == mask; };
  bool all = (in_warp_[warp] & mask) == mask;
  for (int i = 0; all && i < kLanes; ++i) all = (mask >> i & 1) == 0 || agrees(lanes[i]);
  if (!all) {
    wait(State::kInWarp);
    return self.value;
  }
  in_warp_[warp] &= ~mask;
  std::array<uint64_t, kLanes> values{};
  uint64_t ballot = 0;
  for (size_t i = 0; i < kLanes; ++i) {
    values[i] = lanes[i].value;
    if ((mask >> i & 1) != 0) ballot |= values[i] << i;
  }
  for (size_t i = 0; i < kLanes; ++i) {
    if ((mask >> i & 1) == 0) continue;
    lanes[i].value = operation == WarpOperation::kBallot ? ballot : values[static_cast<size_t>(lanes[i].source)];
    if (&lanes[i] != &self) make_ready(static_cast<int>(warp * kLanes + i), State::kReady);
  }
  // The first of the order goes on first, which may be another lane.
  return self.value;
}

std::string BlockRunner::who_waits() const {
  int in_warp = 0, first = -1;
  for (int thread = 0; thread < count_; ++thread) {
    if (threads_[static_cast<size_t>(thread)].state != State::kInWarp) continue;
    ++in_warp;
    if (first < 0) first = thread;
  }
  std::string text = std::to_string(at_barrier_) + " wait at __syncthreads(), " + std::to_string(in_warp) +
                     " for lanes of their warp, " + std::to_string(ended_) + " have ended";
  if (first >= 0) text += "; the first that waits for lanes is thread " + std::to_string(first);
  return text;
}

}  // namespace

KernelSettings& kernel_settings() {
  static KernelSettings settings;
  return settings;
}

int lane() { return runner().lane(); }

uint64_t meet_lanes(WarpOperation operation, unsigned mask, uint64_t value, int source) {
  return runner().meet(operation, mask, value, source);
}

void run_grid(dim3 grid, dim3 block, const std::function<void()>& thread) { runner().run(grid, block, thread); }

}  // namespace convoy::cuda_on_cpu

void __syncthreads() { convoy::cuda_on_cpu::runner().barrier(); }
