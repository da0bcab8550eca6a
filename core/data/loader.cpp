#include "core/data/loader.h"

#include <algorithm>

#include "core/base/error.h"

namespace convoy {

Loader::Loader(const Dataset& dataset, const Sampler& sampler, Allocator& allocator, const Options& options)
    : dataset_(dataset), sampler_(sampler), options_(options), position_(first_position()), to_decode_(position_) {
  CHECK(options_.threads >= 1 && options_.prefetch >= 1, "Loader::Options");
  CHECK(options_.step >= 0 && options_.step < sampler_.steps_per_epoch(), "Loader::Options::step");
  const int rows = sampler_.micro_batch_rows();
  ring_.resize(static_cast<size_t>(options_.prefetch) + 1);  // and the one in use
  for (Slot& slot : ring_) {
    slot.pixels = Buffer(allocator, rows * dataset_.sample().elements());
    slot.targets = Buffer(allocator, rows * int64_t{sizeof(Target)});
    if (options_.mix.any()) slot.scratch.resize(static_cast<size_t>(dataset_.sample().elements()));
    slot.batch.pixels = {slot.pixels.as<uint8_t>(), static_cast<size_t>(slot.pixels.bytes())};
    slot.batch.targets = {slot.targets.as<Target>(), static_cast<size_t>(rows)};
  }
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
}

const Batch& Loader::next() {
  CHECK(!finished(), "Loader::next() after the end");
  Slot& slot = ring_[static_cast<size_t>(delivered_) % ring_.size()];
  {
    std::unique_lock lock(mutex_);
    if (released_ < delivered_) {  // the batch of the last call
      ring_[static_cast<size_t>(released_) % ring_.size()].ready = false;
      ++released_;
      changed_.notify_all();
    }
    changed_.wait(lock, [&] { return slot.ready; });
  }
  if (slot.error) std::rethrow_exception(slot.error);
  ++delivered_;
  position_ = following(position_);
  return slot.batch;
}

void Loader::work(const std::stop_token& stop) {
  for (;;) {
    std::unique_lock lock(mutex_);
    const auto may_claim = [this] { return claimed_ - released_ < static_cast<int64_t>(ring_.size()); };
    if (!changed_.wait(lock, stop, may_claim) || !to_decode_.valid) return;
    Slot& slot = ring_[static_cast<size_t>(claimed_++) % ring_.size()];
    const Position position = to_decode_;
    to_decode_ = following(position);
    lock.unlock();

    try {
      fill(slot, position);
    } catch (...) {
      slot.error = std::current_exception();
    }
    lock.lock();
    slot.ready = true;
    changed_.notify_all();
  }
}

void Loader::fill(Slot& slot, const Position& position) const {
  MicroBatch micro_batch = sampler_.micro_batch(position.epoch, position.step, position.index);
  const size_t valid = micro_batch.ids.size(), bytes = static_cast<size_t>(dataset_.sample().elements());
  auto* pixels = slot.pixels.as<uint8_t>();
  auto* targets = slot.targets.as<Target>();
  for (size_t row = 0; row < valid; ++row) {
    targets[row] = Target::of(dataset_.read(micro_batch.ids[row], position.epoch, pixels + row * bytes));
  }
  if (options_.mix.any()) {
    mix_rows(options_.mix, dataset_.sample(), position.epoch, micro_batch.ids, pixels, targets, slot.scratch.data());
  }
  std::fill(pixels + valid * bytes, pixels + slot.pixels.bytes(), uint8_t{0});
  std::fill(targets + valid, targets + slot.batch.targets.size(), Target{});
  slot.batch.ids = std::move(micro_batch.ids);
  slot.batch.valid = static_cast<int>(valid);
  slot.batch.first_row = micro_batch.first_row;
  slot.batch.epoch = position.epoch;
  slot.batch.step = position.step;
  slot.batch.index = position.index;
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
