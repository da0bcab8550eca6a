#include "tests/core/train/flat_ops_checks.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>

#include "core/data/cheap_augment.h"
#include "core/data/mix.h"
namespace convoy {

Floats random_floats(unsigned seed, size_t elements, float least, float most) {
  std::mt19937 random(seed);
  Floats values(elements);
  for (float& value : values) value = least + (most - least) * static_cast<float>(random() % 65536) / 65536;
  return values;
}

Updated initial(const UpdateCase& it) {
  constexpr std::byte kUnset{0xff};
  const auto shadow_bytes = it.shadow == Dtype::kF32 ? 0 : it.elements * static_cast<size_t>(size_of(it.shadow));
  return {random_floats(1, it.elements, -1, 1), random_floats(3, it.elements, -1, 1),
          random_floats(4, it.elements, 0, 1), random_floats(5, it.elements, -2, 2), std::vector(shadow_bytes, kUnset)};
}

namespace {

// The buffers of a case in device memory.
struct Buffers {
  Buffers(const UpdateCase& it, const Updated& from, Device& device)
      : value(device, from.value),
        gradient(device, scaled(random_floats(2, it.elements, -3, 3), it.gradient_times)),
        momentum(device, from.momentum),
        variance(device, from.variance),
        state(device, from.state),
        control_block(device, it.control),
        shadow(device, from.shadow),
        scalars(device, {it.scalars}),
        loss_scale(device, {{it.loss_scale, 0}}) {}
  static Floats scaled(Floats values, float by) {
    for (float& value : values) value *= by;
    return values;
  }
  UpdateBuffers update(Dtype shadow_dtype) const {
    return {value.data(), gradient.data(), shadow.data(), shadow_dtype};
  }
  UpdateControl control() const { return {scalars.data(), loss_scale.data(), control_block.data()}; }
  Updated read() const { return {value.read(), momentum.read(), variance.read(), state.read(), shadow.read()}; }

  OnDevice<float> value, gradient, momentum, variance, state, control_block;
  OnDevice<std::byte> shadow;
  OnDevice<StepScalars> scalars;
  OnDevice<LossScale> loss_scale;
};

}  // namespace

Updated run_sgd(const UpdateCase& it, FlatOps& ops, Device& device) {
  const Buffers on(it, initial(it), device);
  Stream& stream = device.compute();
  const UpdateBuffers buffers = on.update(it.shadow);
  ops.sgd(buffers, nullptr, it.range(), {}, on.control(), stream);
  ops.sgd(buffers, on.momentum.data(), it.range(), {0.9F, false}, on.control(), stream);
  ops.sgd(buffers, on.momentum.data(), it.range(), {0.9F, true}, on.control(), stream);
  ops.update_state(on.state.data() + it.begin, on.value.data() + it.begin, it.range().end - it.begin, 0.1F,
                   on.control(), stream);
  return on.read();
}

Updated run_adam(const UpdateCase& it, FlatOps& ops, Device& device) {
  const Buffers on(it, initial(it), device);
  ops.adam(on.update(it.shadow), on.momentum.data(), on.variance.data(), it.range(), {}, on.control(),
           device.compute());
  return on.read();
}

Updated run_adamw(const UpdateCase& it, FlatOps& ops, Device& device) {
  const Buffers on(it, initial(it), device);
  Floats control(kControlSize);
  const OnDevice<float> norm(device, control), clip(device, Floats(1));
  ops.clip_norm(on.gradient.data(), static_cast<int64_t>(it.elements), on.loss_scale.data(), 100, norm.data(),
                clip.data(), device.compute());
  UpdateControl how = on.control();
  how.clip = clip.data();
  ops.adam(on.update(it.shadow), on.momentum.data(), on.variance.data(), it.range(), {.decoupled = true}, how,
           device.compute());
  return on.read();
}

Updated run_rmsprop(const UpdateCase& it, FlatOps& ops, Device& device) {
  const Buffers on(it, initial(it), device);
  UpdateControl how = on.control();
  how.largest = 0.5F;
  ops.rmsprop(on.update(it.shadow), on.variance.data(), nullptr, it.range(), {}, how, device.compute());
  ops.rmsprop(on.update(it.shadow), on.variance.data(), on.momentum.data(), it.range(), {0.9F, 1e-3F, 0.9F}, how,
              device.compute());
  return on.read();
}

Updated run_lars(const UpdateCase& it, FlatOps& ops, Device& device) {
  const Buffers on(it, initial(it), device);
  UpdateControl how = on.control();
  how.largest = 2;
  for (const int rows : {4, 0}) {
    ops.lars(on.update(it.shadow), on.momentum.data(), it.range(rows), {0.9F, 1, 1e-8F}, how, device.compute());
  }
  return on.read();
}

Updated run_lamb(const UpdateCase& it, FlatOps& ops, Device& device) {
  const Buffers on(it, initial(it), device);
  const OnDevice<float> clip(device, Floats{0.37F});
  UpdateControl how = on.control();
  how.clip = clip.data();
  for (const int rows : {4, 0}) {
    ops.lamb(on.update(it.shadow), on.momentum.data(), on.variance.data(), it.range(rows), {}, how, device.compute());
  }
  return on.read();
}

Updated run_muon(const UpdateCase& it, FlatOps& ops, Device& device) {
  const Buffers on(it, initial(it), device);
  const UpdateRange range = it.range(4);
  const int64_t elements = range.end - range.begin;
  const OnDevice<float> direction(device, Floats(static_cast<size_t>(elements)));
  for (const bool renormalizes : {false, true}) {
    const MuonOptions options{{0.9F, renormalizes}, 0, renormalizes};
    ops.muon_direction(on.update(it.shadow), on.momentum.data(), direction.data(), range, options, on.control(),
                       device.compute());
    ops.combine(direction.data(), 0.25F, on.state.data() + range.begin, 4, elements, device.compute());
    ops.muon(on.update(it.shadow), direction.data(), range, options, on.control(), device.compute());
  }
  ops.move_average(on.state.data() + range.begin, on.value.data() + range.begin, elements, 0.25F, on.control(),
                   device.compute());
  return on.read();
}

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

class FlatOpsTest : public testing::Test {
 protected:
  Stream& stream() { return under_test_.device->compute(); }
  template <class T>
  OnDevice<T> put(const std::vector<T>& values) {
    return {device_, values};
  }
  void for_updates(const std::function<void(Updated (*run)(const UpdateCase&, FlatOps&, Device&))>& body) {
    for (const auto& [name, run] : kRuns) {
      SCOPED_TRACE(name);
      body(run);
    }
  }

  const FlatOpsUnderTest under_test_ = flat_ops_under_test();
  FlatOps& ops_ = *under_test_.ops;
  Device& device_ = *under_test_.device;
};

TEST_F(FlatOpsTest, ClearCopyAdd) {
  for (const size_t elements : {size_t{2}, size_t{5}, size_t{50'003}}) {
    for (const size_t begin : {size_t{0}, size_t{1}}) {
      const Floats values = random_floats(1, elements, -1, 1);
      const auto count = static_cast<int64_t>(elements - begin - 1);
      const auto from = put(values), to = put(Floats(elements, kNan));
      const auto expect = [&](float times) {
        const Floats found = to.read();
        for (size_t i = 0; i < elements; ++i) {
          if (i >= begin && i + 1 < elements) {
            ASSERT_EQ(found[i], times * values[i]) << i;
          } else {
            ASSERT_TRUE(std::isnan(found[i])) << i;
          }
        }
      };
      ops_.copy(to.data() + begin, from.data() + begin, count, stream());
      expect(1);
      ops_.add(to.data() + begin, from.data() + begin, count, stream());
      expect(2);
      const auto ones = put(Floats(elements, 1.0F));
      ops_.swap(to.data() + begin, ones.data() + begin, count, stream());
      ops_.add(ones.data() + begin, from.data() + begin, count, stream());
      ops_.copy(to.data() + begin, ones.data() + begin, count, stream());
      expect(3);
      ops_.clear(to.data() + begin, count, stream());
      expect(0);
    }
  }
}

// ---- convert, gather_images

float widened(Dtype dtype, const std::byte* from) {
  uint16_t narrow;
  std::memcpy(&narrow, from, sizeof narrow);
  if (dtype == Dtype::kBF16) return bf16_to_f32(narrow);
  if (dtype == Dtype::kF16) return f16_to_f32(narrow);
  float wide;
  std::memcpy(&wide, from, sizeof wide);
  return wide;
}

float rounded(Dtype dtype, float x) {
  if (dtype == Dtype::kBF16) return bf16_to_f32(f32_to_bf16(x));
  return dtype == Dtype::kF16 ? f16_to_f32(f32_to_f16(x)) : x;
}

TEST_F(FlatOpsTest, ConvertsBetweenAllTypesToNearestEven) {
  Floats values = random_floats(7, 1'003, -70'000, 70'000);
  for (size_t i = 0; i < values.size(); i += 2) values[i] *= 1e-9F;  // f16 has them as subnormal numbers, or as 0
  values[5] = kInfinity;
  values[6] = kNan;
  const auto count = static_cast<int64_t>(values.size());
  for (const Dtype from : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) {
    for (const Dtype to : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) {
      for (const int64_t skipped : {0, 1}) {
        SCOPED_TRACE(std::string(to_string(from)) + " to " + to_string(to) + " from " + std::to_string(skipped));
        const auto f32 = put(values);
        const OnDevice<std::byte> narrow = put(std::vector<std::byte>(values.size() * 4)),
                                  result = put(std::vector<std::byte>(values.size() * 4 + 1, std::byte{0x5a}));
        ops_.convert(narrow.data(), from, f32.data(), Dtype::kF32, count, stream());
        ops_.convert(result.data(), to, narrow.data() + skipped * size_of(from), from, count - skipped, stream());
        const std::vector<std::byte> found = result.read();
        const auto written = static_cast<size_t>((count - skipped) * size_of(to));
        for (size_t i = 0; i < values.size() - static_cast<size_t>(skipped); ++i) {
          const float wanted = rounded(to, rounded(from, values[i + static_cast<size_t>(skipped)]));
          const float is = widened(to, found.data() + i * static_cast<size_t>(size_of(to)));
          ASSERT_TRUE(is == wanted || (std::isnan(is) && std::isnan(wanted))) << i << " " << is << " " << wanted;
        }
        EXPECT_EQ(found[written], std::byte{0x5a});
      }
    }
  }
}

// What the host does to one image.
void augment(const CheapAugment& how, const ImageSet& images, int64_t number, uint8_t* to) {
  apply(how, images.shape, images.pixels + number * images.bytes(), to, images.fill);
}

TEST_F(FlatOpsTest, GathersImagesAsTheHostAugmentsAndMixesThem) {
  const CheapAugment flip{.flip = true}, shift{.dx = 2, .dy = -1}, erase{.x0 = 1, .y0 = 0, .x1 = 4, .y1 = 3},
      all{.flip = true, .dx = -3, .dy = 2, .x0 = 2, .y0 = 1, .x1 = 3, .y1 = 5}, away{.dx = 100};
  const RowMix half{.weight = 128}, little{.weight = 1}, none{.weight = 0}, pasted{.x0 = 1, .y0 = 2, .x1 = 3, .y1 = 4};
  const std::vector<ImageRow> rows = {{.own = 49},
                                      {.own = 7, .partner = 9, .own_augment = flip},
                                      {.own = 7, .own_augment = shift},
                                      {.own = 0, .own_augment = erase},
                                      {.own = 31, .own_augment = all},
                                      {.own = 31, .own_augment = away},
                                      {.own = 1, .partner = 2, .mix = half},
                                      {.own = 1, .partner = 48, .partner_augment = all, .mix = little},
                                      {.own = 1, .partner = 49, .own_augment = flip, .mix = none},
                                      {.own = 3, .partner = 4, .own_augment = all, .mix = pasted},
                                      {.own = 3, .partner = 4, .partner_augment = away, .mix = pasted}};
  const auto on_device = put(rows);
  for (const Shape& shape : {Shape{1, 6, 5, 3}, Shape{1, 28, 28, 1}, Shape{1, 5, 64, 4}}) {
    const auto bytes = static_cast<size_t>(shape.elements());
    std::vector<uint8_t> pixels(50 * bytes), wanted(rows.size() * bytes), partner(bytes);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 7 + i / 251);
    const ImageSet images{pixels.data(), shape, 200};
    for (size_t i = 0; i < rows.size(); ++i) {
      augment(rows[i].own_augment, images, rows[i].own, &wanted[i * bytes]);
      augment(rows[i].partner_augment, images, rows[i].partner, partner.data());
      apply(rows[i].mix, shape, &wanted[i * bytes], partner.data());
    }
    wanted.push_back(0xee);
    const auto from = put(pixels), to = put(std::vector<uint8_t>(wanted.size(), 0xee));
    ops_.gather_images(to.data(), {from.data(), shape, 200}, on_device.data(), static_cast<int>(rows.size()), stream());
    EXPECT_EQ(to.read(), wanted) << to_string(shape);
  }
}

// ---- Non-finite numbers

TEST_F(FlatOpsTest, FlagsNanAndInfinityWhereverTheyAre) {
  Floats values(100'003, 1.0F);
  values[7] = -std::numeric_limits<float>::max();
  const auto control = put(Floats(kControlSize));
  const auto flag = [&](const Floats& of, size_t begin = 0) {
    const auto on_device = put(of);
    ops_.flag_nonfinite(on_device.data() + begin, static_cast<int64_t>(of.size() - begin), control.data(), stream());
  };
  Floats wanted(kControlSize);
  flag(values);
  EXPECT_EQ(control.read(), wanted);
  for (const size_t at : {size_t{3}, size_t{50'001}, values.size() - 1}) {
    for (const float bad : {kInfinity, -kInfinity, kNan}) {
      Floats spoilt = values;
      spoilt[at] = bad;
      flag(spoilt);
      flag(spoilt, 3);
      flag(spoilt, at + 1);
      wanted[kOverflow] += 2;
      EXPECT_EQ(control.read(), wanted) << at << " " << bad;
    }
  }
  flag(Floats(values.size(), kNan));  // many are one
  wanted[kOverflow] += 1;
  EXPECT_EQ(control.read(), wanted);
}

TEST_F(FlatOpsTest, TheNormIsThatOfAllElements) {
  for (const size_t elements : {size_t{1}, size_t{17}, size_t{300'007}}) {
    const Floats values = random_floats(9, elements, -3, 3);
    double sum = 0;
    for (float value : values) sum += double{value} * value;
    const double norm = std::sqrt(sum) / 4;
    const auto from = put(values), control = put(Floats(kControlSize)), clip = put(Floats(1));
    const auto scale = put(std::vector<LossScale>{{4, 0}});
    ops_.norm(clip.data(), from.data(), static_cast<int64_t>(elements), stream());
    EXPECT_NEAR(clip.read()[0], 4 * norm, 1e-7 * 4 * norm);
    for (const double share : {0.5, 2.0}) {
      ops_.clip_norm(from.data(), static_cast<int64_t>(elements), scale.data(), static_cast<float>(share * norm),
                     control.data(), clip.data(), stream());
      EXPECT_NEAR(control.read()[kGradientNorm], norm, 1e-7 * norm);
      EXPECT_NEAR(clip.read()[0], std::min(1.0, share), 1e-5);
    }
  }
}

TEST_F(FlatOpsTest, UpdatesSkipWhenANumberWasNotFinite) {
  for_updates([&](auto run) {
    for (const Control flag : {kNonFinite, kOverflow}) {
      UpdateCase it{.elements = 1'001, .shadow = Dtype::kBF16};
      it.control[flag] = 2;
      EXPECT_TRUE(run(it, ops_, device_) == initial(it)) << flag;
    }
    UpdateCase it{.elements = 1'001, .shadow = Dtype::kBF16};
    it.control[kStopRequested] = it.control[kCorrect] = 1;
    EXPECT_FALSE(run(it, ops_, device_) == initial(it));
  });
}

// ---- Updates; their arithmetic is held to PyTorch's in optimizer_test.cpp

TEST_F(FlatOpsTest, UpdatesItsRangeOnly) {
  for_updates([&](auto run) {
    for (const UpdateCase& it : {UpdateCase{}, UpdateCase{.elements = 1'000, .begin = 128, .behind = 0},
                                 UpdateCase{.elements = 8, .begin = 3, .behind = 4}}) {
      const Updated before = initial(it), after = run(it, ops_, device_);
      for (size_t i = 0; i < it.elements; ++i) {
        const auto at = static_cast<int64_t>(i);
        const bool inside = at >= it.range().begin && at < it.range().end;
        ASSERT_EQ(after.value[i] != before.value[i], inside) << i;
        ASSERT_EQ(after.momentum[i] != before.momentum[i], inside) << i;
      }
    }
  });
}

TEST_F(FlatOpsTest, TheShadowIsTheValueRounded) {
  for_updates([&](auto run) {
    for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
      for (const int64_t begin : {1, 128}) {
        const UpdateCase it{.begin = begin, .shadow = dtype};
        const Updated before = initial(it), after = run(it, ops_, device_);
        const auto size = static_cast<size_t>(size_of(dtype));
        for (size_t i = 0; i < it.elements; ++i) {
          const std::byte* const found = after.shadow.data() + i * size;
          const auto at = static_cast<int64_t>(i);
          if (at >= it.range().begin && at < it.range().end) {
            ASSERT_EQ(widened(dtype, found), rounded(dtype, after.value[i])) << i;
          } else {
            ASSERT_EQ(std::memcmp(found, before.shadow.data() + i * size, size), 0) << i;
          }
        }
      }
    }
  });
}

TEST_F(FlatOpsTest, GradientsAreDividedByTheLossScale) {
  for_updates([&](auto run) {
    const UpdateCase plain{.elements = 1'001},
        scaled{.elements = 1'001, .loss_scale = 1024, .gradient_times = 1024};  // exact: a power of two
    EXPECT_TRUE(run(plain, ops_, device_) == run(scaled, ops_, device_));
  });
}

TEST_F(FlatOpsTest, TheClockAddsUpHowLongSomethingTook) {
  const auto nanoseconds = put(std::vector<int64_t>{0, 7});
  const auto begin = std::chrono::steady_clock::now();
  int64_t before = 0;
  for (int i = 0; i < 3; ++i) {
    ops_.add_clock(nanoseconds.data(), -1, stream());
    const auto numbers = put(Floats(100'000, 1));  // which waits
    ops_.add_clock(nanoseconds.data(), +1, stream());
    const int64_t now = nanoseconds.read()[0];
    EXPECT_GT(now, before);
    before = now;
  }
  EXPECT_LE(before, std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count());
  EXPECT_EQ(nanoseconds.read()[1], 7);
}

TEST_F(FlatOpsTest, TheLossScaleGrowsAndShrinksWithinItsLimits) {
  const LossScaleOptions options{.initial = 64, .smallest = 16, .largest = 256, .grow_every = 3};
  const auto scale = put(std::vector<LossScale>{{options.initial, 0}});
  const auto control = put(Floats(kControlSize));
  const auto steps = [&](int count, int flag, LossScale wanted) {
    Floats block(kControlSize);
    if (flag >= 0) block[static_cast<size_t>(flag)] = 1;
    OnDevice<float> on_device = put(block);
    for (int i = 0; i < count; ++i) ops_.update_loss_scale(scale.data(), on_device.data(), options, stream());
    const LossScale found = scale.read()[0];
    EXPECT_EQ(found.scale, wanted.scale);
    EXPECT_EQ(found.good_steps, wanted.good_steps);
    EXPECT_EQ(on_device.read(), block);
  };
  constexpr int kGood = -1;
  steps(2, kGood, {64, 2});
  steps(1, kOverflow, {32, 0});  // counting starts again
  steps(2, kGood, {32, 2});
  steps(1, kGood, {64, 0});
  steps(1, kNonFinite, {32, 0});
  steps(1, kCorrect, {32, 1});
  steps(8, kGood, {256, 0});
  steps(3, kGood, {256, 0});  // the largest
  steps(4, kOverflow, {16, 0});
  steps(2, kOverflow, {16, 0});  // the smallest
}

}  // namespace
}  // namespace convoy
