#include "core/data/loader.h"

#include <algorithm>
#include <system_error>

#include "core/base/error.h"

namespace convoy {
namespace {

constexpr int64_t kBytesAtOnce = int64_t{1} << 16;  // of pixels a worker takes on: small samples come in groups

}  // namespace

Loader::Loader(const Dataset& dataset, const Sampler& sampler, Allocator& allocator, const Options& options)
    : dataset_(dataset),
      sampler_(sampler),
      options_(options),
      rows_at_once_(std::clamp<int64_t>(kBytesAtOnce / std::max<int64_t>(dataset.sample().elements(), 1), 1,
                                        sampler.micro_batch_rows())),
      position_(first_position()),
      to_decode_(position_) {
  CHECK(options_.threads >= 0 && options_.most_threads >= 1 && options_.prefetch >= 1, "Loader::Options");
  CHECK(options_.step >= 0 && options_.step < sampler_.steps_per_epoch(), "Loader::Options::step");
  const int rows = sampler_.micro_batch_rows();
  ring_.resize(static_cast<size_t>(options_.prefetch) + 1);  // and the one in use
  for (Slot& slot : ring_) {
    slot.pixels = Buffer(allocator, rows * dataset_.sample().elements());
    slot.targets = Buffer(allocator, rows * int64_t{sizeof(Target)});
    if (options_.mix.any()) slot.scratch.resize(static_cast<size_t>(dataset_.sample().elements()));
    slot.batch.ids.reserve(static_cast<size_t>(rows));  // so that workers allocate nothing
    slot.batch.pixels = {slot.pixels.as<uint8_t>(), static_cast<size_t>(slot.pixels.bytes())};
    slot.batch.targets = {slot.targets.as<Target>(), static_cast<size_t>(rows)};
  }
  for (int i = 0; i < std::max(options_.threads, 1); ++i) start_thread();
}

Loader::~Loader() {
  for (std::jthread& thread : threads_) thread.request_stop();  // all before the first is joined
}

void Loader::start_thread() {
  threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
}

const Batch& Loader::next() {
  CHECK(!finished(), "Loader::next() after the end");
  Slot& slot = ring_[static_cast<size_t>(delivered_) % ring_.size()];
  bool waited = false;
  {
    std::unique_lock lock(mutex_);
    if (released_ < delivered_) {  // the batch of the last call
      ring_[static_cast<size_t>(released_) % ring_.size()].ready = false;
      ++released_;
      work_.notify_all();
    }
    ready_ = static_cast<int>(std::ranges::count_if(ring_, &Slot::ready));
    waited = !slot.ready;
    done_.wait(lock, [&] { return slot.ready; });
  }
  if (slot.error) std::rethrow_exception(slot.error);
  adapt(waited);
  ++delivered_;
  position_ = following(position_);
  return slot.batch;
}

// Where batches are waited for now and then, one thread more; the first ones are always waited for.
void Loader::adapt(bool waited) {
  constexpr int64_t kWindow = 8, kTolerated = 1;
  if (options_.threads > 0) return;
  waited_ += waited ? 1 : 0;
  if (delivered_ % kWindow != kWindow - 1) return;
  if (waited_ > kTolerated && threads() < options_.most_threads) {
    try {
      start_thread();
    } catch (const std::system_error&) {  // the system gives no more: those that there are go on
    }
  }
  waited_ = 0;
}

void Loader::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto woken = [this] { return !to_decode_.valid || may_claim(); };
  while (work_.wait(lock, stop, woken) && !stop.stop_requested() && may_claim()) {
    const Claim mine = claim();
    lock.unlock();
    std::exception_ptr error;
    int64_t row = mine.rows.first;
    try {
      if (mine.opens) {
        for (const int64_t id : mine.slot->batch.ids) dataset_.will_read(id);
      }
      for (; row < mine.rows.first + mine.rows.count; ++row) {
        if (stop.stop_requested()) return;
        read(*mine.slot, row);
      }
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    Slot& slot = *mine.slot;
    if (error && (!slot.error || row < slot.error_row)) slot.error = error, slot.error_row = row;
    slot.done += mine.rows.count;
    if (slot.done < slot.batch.valid) continue;
    lock.unlock();
    try {
      if (!slot.error) finish(slot);
    } catch (...) {
      slot.error = std::current_exception();
    }
    lock.lock();
    slot.ready = true;
    done_.notify_all();
  }
}

bool Loader::may_claim() const {
  if (opened_ > 0) {
    const Slot& newest = ring_[static_cast<size_t>(opened_ - 1) % ring_.size()];
    if (opened_ > released_ && newest.claimed < newest.batch.valid) return true;
  }
  return to_decode_.valid && opened_ - released_ < static_cast<int64_t>(ring_.size());
}

Loader::Claim Loader::claim() {
  const auto slot_of = [this](int64_t t) { return &ring_[static_cast<size_t>(t) % ring_.size()]; };
  Slot* slot = opened_ > released_ ? slot_of(opened_ - 1) : nullptr;
  const bool opens = slot == nullptr || slot->claimed == slot->batch.valid;
  if (opens) {
    slot = slot_of(opened_++);
    open(*slot, to_decode_);
    to_decode_ = following(to_decode_);
  }
  const Share rows = {slot->claimed, std::min(rows_at_once_, slot->batch.valid - slot->claimed)};
  slot->claimed += rows.count;
  if (opens && may_claim()) work_.notify_all();
  return {slot, rows, opens};
}

void Loader::open(Slot& slot, const Position& position) const {
  MicroBatch memory;
  memory.ids = std::move(slot.batch.ids);
  MicroBatch rows = sampler_.micro_batch(position.epoch, position.step, position.index, std::move(memory));
  slot.claimed = slot.done = 0;
  slot.batch.ids = std::move(rows.ids);
  slot.batch.valid = static_cast<int>(slot.batch.ids.size());
  slot.batch.first_row = rows.first_row;
  slot.batch.epoch = position.epoch;
  slot.batch.step = position.step;
  slot.batch.index = position.index;
}

void Loader::read(Slot& slot, int64_t row) const {
  const int64_t id = slot.batch.ids[static_cast<size_t>(row)];
  uint8_t* const pixels = slot.pixels.as<uint8_t>() + row * dataset_.sample().elements();
  slot.targets.as<Target>()[row] = Target::of(dataset_.read(id, slot.batch.epoch, pixels));
}

// When all rows are there.
void Loader::finish(Slot& slot) const {
  const auto valid = static_cast<size_t>(slot.batch.valid), bytes = static_cast<size_t>(dataset_.sample().elements());
  if (options_.mix.any()) {
    mix_rows(options_.mix, dataset_.sample(), slot.batch.epoch, slot.batch.ids, slot.pixels.as<uint8_t>(),
             slot.targets.as<Target>(), slot.scratch.data());
  }
  std::fill(slot.pixels.as<uint8_t>() + valid * bytes, slot.pixels.as<uint8_t>() + slot.pixels.bytes(), uint8_t{0});
  std::fill(slot.targets.as<Target>() + valid, slot.targets.as<Target>() + slot.batch.targets.size(), Target{});
}

Loader::Position Loader::first_position() const {
  // Steps differ only in that the last may be shorter: no share of the first, no share at all.
  const Share share = share_of(sampler_.micro_batches(0), options_.rank, options_.world);
  if (share.count == 0) return {.valid = false};
  const Share here = share_of(sampler_.micro_batches(options_.step), options_.rank, options_.world);
  const Position before = {options_.epoch, options_.step, here.first - 1, options_.epoch < options_.end_epoch};
  return following(before);
}

Loader::Position Loader::following(Position position) const {
  if (!position.valid) return position;
  Share share = share_of(sampler_.micro_batches(position.step), options_.rank, options_.world);
  ++position.index;
  while (position.index >= share.first + share.count) {
    if (++position.step == sampler_.steps_per_epoch()) {
      position.step = 0;
      ++position.epoch;
    }
    if (position.epoch >= options_.end_epoch) return {.valid = false};
    share = share_of(sampler_.micro_batches(position.step), options_.rank, options_.world);
    position.index = share.first;
  }
  return position;
}

}  // namespace convoy
