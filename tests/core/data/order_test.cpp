// From JPEG files to batches, with everything random switched on: the same for any number of ranks and threads.
#include <gtest/gtest.h>

#include <map>

#include "core/base/hash.h"
#include "core/data/augment.h"
#include "core/data/image_dataset.h"
#include "core/data/image_folder.h"
#include "core/data/loader.h"
#include "tests/core/data/pictures.h"

namespace convoy {
namespace {

struct Row {
  int64_t id;
  Target target;
  uint64_t pixels;  // hash
  friend bool operator==(const Row&, const Row&) = default;
};
using RowKey = std::pair<int64_t, int64_t>;  // step of the run, row of the global batch

class OrderTest : public testing::Test {
 protected:
  OrderTest() { put_pictures(folder_.path(), 50, 3); }

  std::unique_ptr<Dataset> open(uint64_t seed = 5) const {
    auto images = std::make_unique<ImageDataset>(open_image_folder(folder_.path()), Shape{1, 32, 40, 3}, 3,
                                                 ImageCrop{.type = ImageCrop::Type::kRandomResized}, seed);
    AugmentOptions options{.cheap = {.flip = 0.5, .pad_crop = 3, .erase = 0.5},
                           .brightness = 0.4,
                           .contrast = 0.4,
                           .saturation = 0.4,
                           .hue = 0.1,
                           .rotate = 15,
                           .policy = AugmentPolicy::kRandAugment};
    return std::make_unique<AugmentedDataset>(std::move(images), options, seed);
  }

  // Two epochs, as all ranks of a world see them.
  std::map<RowKey, Row> deliver(const Dataset& data, int world, int threads, int first_step = 0) const {
    const Sampler sampler({.size = data.size(), .global_batch = 24, .micro_batch = 6, .seed = 5});
    std::map<RowKey, Row> rows;
    const std::unique_ptr<Device> device = make_cpu_device(1);
    for (int rank = 0; rank < world; ++rank) {
      Loader loader(data, sampler, device->allocator(),
                    {.rank = rank,
                     .world = world,
                     .threads = threads,
                     .epoch = first_step / sampler.steps_per_epoch(),
                     .step = first_step % sampler.steps_per_epoch(),
                     .end_epoch = 2,
                     .mix = {.mixup_alpha = 0.5, .cutmix_alpha = 0.5, .probability = 0.8, .seed = 5}});
      while (!loader.finished()) add(loader.next(), sampler, rows);
    }
    return rows;
  }

  static void add(const Batch& batch, const Sampler& sampler, std::map<RowKey, Row>& rows) {
    const size_t bytes = batch.pixels.size() / batch.targets.size();
    for (size_t r = 0; r < batch.ids.size(); ++r) {
      const RowKey key = {batch.epoch * sampler.steps_per_epoch() + batch.step,
                          batch.first_row + static_cast<int64_t>(r)};
      const uint64_t pixels = hash64(std::as_bytes(batch.pixels.subspan(r * bytes, bytes)));
      EXPECT_TRUE(rows.emplace(key, Row{batch.ids[r], batch.targets[r], pixels}).second) << "delivered twice";
    }
  }

  const TempDirectory folder_;
};

TEST_F(OrderTest, IdsPixelsAndTargetsAreThoseOfOneRankWithOneThread) {
  const std::unique_ptr<Dataset> data = open();
  const auto expected = deliver(*data, 1, 1);
  EXPECT_EQ(expected.size(), 2U * 2 * 24);
  for (const int world : {1, 2, 4}) {
    for (int threads = 1; threads <= 8; ++threads) {
      EXPECT_EQ(deliver(*data, world, threads), expected) << world << " ranks, " << threads << " threads";
    }
  }
}

TEST_F(OrderTest, AResumedRunSeesWhatItWouldHaveSeen) {
  const std::unique_ptr<Dataset> data = open();
  const auto whole = deliver(*data, 2, 2), rest = deliver(*data, 4, 3, 3);
  EXPECT_EQ(rest.size(), 24U);
  for (const auto& [key, row] : rest) EXPECT_EQ(row, whole.at(key));
}

// What is drawn differs from epoch to epoch and from seed to seed.
TEST_F(OrderTest, EpochsAndSeedsDiffer) {
  const std::unique_ptr<Dataset> data = open(), other = open(6);
  const auto bytes = static_cast<size_t>(data->sample().elements());
  std::vector<uint8_t> first(bytes), second(bytes), third(bytes);
  int equal = 0;
  for (int64_t i = 0; i < data->size(); ++i) {
    data->read(i, 0, first.data());
    data->read(i, 1, second.data());
    other->read(i, 0, third.data());
    equal += first == second || first == third ? 1 : 0;
  }
  EXPECT_EQ(equal, 0);
}

}  // namespace
}  // namespace convoy
