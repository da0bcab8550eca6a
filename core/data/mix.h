// Mixup and cutmix: a training row is made of two images, and its target of their two classes.
//
// "mixup: Beyond Empirical Risk Minimization" (Zhang et al., 2018): a weighted sum of the pixels.  "CutMix" (Yun et
// al., 2019): a rectangle of one image pasted into the other.  Each row draws for itself.  Its partner is a row of the
// same micro-batch, some rows further on and round the end; how far is drawn once for a micro-batch.  What comes out is
// a pure function of options, epoch, and the numbers and pixels of the micro-batch's samples.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/sample_random.h"
#include "core/device/image_row.h"
#include "core/device/target.h"

namespace convoy {

struct MixOptions {
  double mixup_alpha = 0, cutmix_alpha = 0;  // shares are drawn from Beta(alpha, alpha); 0: none of this kind
  double probability = 1;                    // that a row is mixed
  double cutmix_share = 0.5;                 // of the mixed rows, where there are both kinds
  uint64_t seed = 0;

  bool any() const { return probability > 0 && (mixup_alpha > 0 || cutmix_alpha > 0); }
};

// For the row of sample `id`.  Requires: options.any().
RowMix draw_mix(const MixOptions& options, const Shape& sample, int64_t epoch, int64_t id);

// Row r of a micro-batch of these samples has partner (r + distance) % ids.size(), another row.
// Requires: at least two ids.
int draw_partner_distance(const MixOptions& options, int64_t epoch, std::span<const int64_t> ids);

// How much of the pixels stays the row's own, in [0, 1].
double own_share(const RowMix& mix, const Shape& sample);

// The class with the larger share comes first, so that counting right answers stays meaningful.
Target mixed(const Target& own, const Target& partner, double own_share);

// One row, in place: own [H,W,C] takes from partner.
void apply(const RowMix& mix, const Shape& sample, uint8_t* own, const uint8_t* partner);

// All rows of a micro-batch, in place: pixels [ids.size(),H,W,C] and targets [ids.size()], of one class each.  A single
// row stays what it is.  `scratch` has room for one sample.
void mix_rows(const MixOptions& options, const Shape& sample, int64_t epoch, std::span<const int64_t> ids,
              uint8_t* pixels, Target* targets, uint8_t* scratch);

// Of Beta(alpha, alpha).  Requires: alpha > 0.
double draw_beta(double alpha, SampleRandom& random);

}  // namespace convoy
