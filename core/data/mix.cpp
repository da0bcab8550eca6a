#include "core/data/mix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/base/simd.h"

namespace convoy {
namespace {

SampleRandom random_of(const MixOptions& options, int64_t epoch, int64_t id, RandomStream stream) {
  return {random_key(RandomUse::kAugment, options.seed), epoch, id, stream};
}

double log_uniform(SampleRandom& random) { return std::log(1 - random.uniform()); }

double normal(SampleRandom& random) {
  const double radius = std::sqrt(-2 * log_uniform(random));
  return radius * std::cos(6.283185307179586 * random.uniform());
}

// The logarithm of a draw from Gamma(alpha, 1), as "A Simple Method for Generating Gamma Variables" (Marsaglia and
// Tsang, 2000) has it for alpha + 1, times U^(1 / alpha).  A logarithm, because the draw itself underflows where alpha
// is small.
double log_gamma_draw(double alpha, SampleRandom& random) {
  constexpr int kMostAttempts = 32;  // 19 of 20 are the last
  const double log_power = log_uniform(random) / alpha;
  const double d = alpha + 1 - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  double v = 1;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    const double x = normal(random), log_u = log_uniform(random), root = 1 + c * x;
    v = root * root * root;
    if (root > 0 && log_u < x * x / 2 + d * (1 - v + std::log(v))) break;
    v = 1;
  }
  return std::log(d * v) + log_power;
}

// As torchvision.transforms.v2.CutMix: around a random pixel, cut off at the border.
RowMix draw_rectangle(double share, const Shape& sample, SampleRandom& random) {
  const int x = random.below(sample.w), y = random.below(sample.h);
  const double half = std::sqrt(1 - share) / 2;
  const int half_w = static_cast<int>(half * sample.w), half_h = static_cast<int>(half * sample.h);
  if (half_w == 0 || half_h == 0) return {};
  return {.x0 = std::max(x - half_w, 0),
          .y0 = std::max(y - half_h, 0),
          .x1 = std::min(x + half_w, sample.w),
          .y1 = std::min(y + half_h, sample.h)};
}

void blend(int weight, int64_t count, uint8_t* own, const uint8_t* partner) {
  simd([=]() CONVOY_INLINE {
    // Locals: bytes that are written might else be those of the captures.
    uint8_t* __restrict to = own;
    const uint8_t* __restrict from = partner;
    const int64_t n = count;
    const int share = weight;
    for (int64_t i = 0; i < n; ++i) to[i] = blended(share, to[i], from[i]);
  });
}

}  // namespace

double draw_beta(double alpha, SampleRandom& random) {
  const double a = log_gamma_draw(alpha, random), b = log_gamma_draw(alpha, random);
  return 1 / (1 + std::exp(b - a));
}

RowMix draw_mix(const MixOptions& options, const Shape& sample, int64_t epoch, int64_t id) {
  CHECK(options.any(), "nothing to mix");
  SampleRandom random = random_of(options, epoch, id, RandomStream::kMix);
  if (!random.chance(options.probability)) return {};
  const bool both = options.mixup_alpha > 0 && options.cutmix_alpha > 0;
  const bool cut = both ? random.chance(options.cutmix_share) : options.cutmix_alpha > 0;
  const double share = draw_beta(cut ? options.cutmix_alpha : options.mixup_alpha, random);
  if (cut) return draw_rectangle(share, sample, random);
  return {.weight = static_cast<int>(std::lround(share * RowMix::kWhole))};
}

int draw_partner_distance(const MixOptions& options, int64_t epoch, std::span<const int64_t> ids) {
  CHECK(ids.size() >= 2, "a row of a micro-batch of one has no partner");
  SampleRandom random = random_of(options, epoch, ids.front(), RandomStream::kPartner);
  return 1 + random.below(static_cast<int>(ids.size()) - 1);
}

double own_share(const RowMix& mix, const Shape& sample) {
  const int64_t inside = int64_t{mix.x1 - mix.x0} * (mix.y1 - mix.y0), all = int64_t{sample.h} * sample.w;
  return static_cast<double>(mix.weight * (all - inside)) / static_cast<double>(RowMix::kWhole * all);
}

Target mixed(const Target& own, const Target& partner, double own_share) {
  const bool mostly_own = own_share >= 0.5;
  const int32_t a = mostly_own ? own.a : partner.a, b = mostly_own ? partner.a : own.a;
  const double share = mostly_own ? own_share : 1 - own_share;
  return share == 1 ? Target::of(a) : Target{a, b, static_cast<float>(share)};
}

void apply(const RowMix& mix, const Shape& sample, uint8_t* own, const uint8_t* partner) {
  if (mix.weight < RowMix::kWhole) blend(mix.weight, sample.elements(), own, partner);
  const int64_t bytes = int64_t{mix.x1 - mix.x0} * sample.c;
  for (int y = mix.y0; y < mix.y1; ++y) {
    const int64_t first = (int64_t{y} * sample.w + mix.x0) * sample.c;
    std::memcpy(own + first, partner + first, static_cast<size_t>(bytes));
  }
}

void mix_rows(const MixOptions& options, const Shape& sample, int64_t epoch, std::span<const int64_t> ids,
              uint8_t* pixels, Target* targets, uint8_t* scratch) {
  const auto rows = static_cast<int>(ids.size());
  if (rows < 2) return;
  const int64_t bytes = sample.elements();
  const int distance = draw_partner_distance(options, epoch, ids);
  // From partner to partner one comes back to where one began; only that row's pixels are needed once more.
  const int circles = std::gcd(rows, distance);
  for (int first = 0; first < circles; ++first) {
    std::memcpy(scratch, pixels + first * bytes, static_cast<size_t>(bytes));
    const Target first_target = targets[first];
    for (int row = first, left = rows / circles; left > 0; --left) {
      const int partner = (row + distance) % rows;
      const bool last = left == 1;
      const RowMix mix = draw_mix(options, sample, epoch, ids[static_cast<size_t>(row)]);
      apply(mix, sample, pixels + row * bytes, last ? scratch : pixels + partner * bytes);
      targets[row] = mixed(targets[row], last ? first_target : targets[partner], own_share(mix, sample));
      row = partner;
    }
  }
}

}  // namespace convoy
