#include "launcher/feed.h"

#include "launcher/stopwatch.h"

namespace convoy {
namespace {

Loader::Options unmixed(Loader::Options options) {
  options.mix = {};
  return options;
}

}  // namespace

Feed::Feed(const DataSource& source, const Sampler& sampler, Replica& replica, Device& device,
           const Loader::Options& options, int64_t first_row)
    : source_(source),
      mix_(options.mix),
      first_row_(first_row),
      numbers_(*source.dataset),
      replica_(replica),
      loader_(source.cache != nullptr ? static_cast<const Dataset&>(numbers_) : *source.dataset, sampler,
              device.host_allocator(), source.cache != nullptr ? unmixed(options) : options) {}

Feed::~Feed() {
  try {
    replica_.wait_until_read();  // the memory goes back
  } catch (const Error&) {       // of the device: nothing is read any more, and whoever uses it next hears of it
  }
}

double Feed::load_next() {
  replica_.wait_until_read();  // the last batch: its memory is the loader's again
  const Stopwatch wait;
  const Batch& batch = loader_.next();
  const double seconds = wait.seconds();
  replica_.scalars().valid_rows = batch.valid;
  replica_.scalars().first_row = first_row_ + batch.first_row;
  if (source_.cache != nullptr) {
    replica_.load(*source_.cache, batch, mix_);
  } else {
    replica_.load(batch.pixels, batch.targets);
  }
  return seconds;
}

}  // namespace convoy
