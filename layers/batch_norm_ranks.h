// What ranks that share the statistics of a batch tell each other, on any device: see Kernel::gathers().
//
// Every rank has as many samples and says what it has of each channel, in f32: [ranks, channels] of RankMoments, later
// of RankGradients.  All of them merge that in the order of the ranks and in double, so all have the same bits.
#pragma once

#include <cstdint>

namespace convoy::batch_norm {

struct RankMoments {
  float mean, rest, squares;  // the mean is mean + rest; Σ (x - mean)²
};

struct RankGradients {
  float sum, product;  // Σ dy | Σ dy · (x - mean), dy being behind the relu and mean that of all ranks
};

// Elements that all ranks gather.
template <class Sums>
constexpr int64_t gathered_elements(int64_t ranks, int64_t channels) {
  return ranks * channels * static_cast<int64_t>(sizeof(Sums) / sizeof(float));
}

// For all ranks: gathering overwrites the parts of the others.
template <class Sums>
constexpr void tell(Sums* gathered, int64_t ranks, int64_t channels, int64_t channel, const Sums& mine) {
  for (int64_t rank = 0; rank < ranks; ++rank) gathered[rank * channels + channel] = mine;
}

struct AllMoments {
  double mean, squares;
};

// Of a channel; `samples` of each rank.
constexpr AllMoments merge(const RankMoments* gathered, int64_t ranks, int64_t channels, int64_t channel,
                           double samples) {
  AllMoments all{};
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const RankMoments& it = gathered[rank * channels + channel];
    all.mean += (double{it.mean} + it.rest) / static_cast<double>(ranks);
  }
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const RankMoments& it = gathered[rank * channels + channel];
    const double between = double{it.mean} + it.rest - all.mean;
    all.squares += it.squares + samples * between * between;
  }
  return all;
}

struct AllGradients {
  double sum, product;
};

constexpr AllGradients merge(const RankGradients* gathered, int64_t ranks, int64_t channels, int64_t channel) {
  AllGradients all{};
  for (int64_t rank = 0; rank < ranks; ++rank) {
    all.sum += gathered[rank * channels + channel].sum;
    all.product += gathered[rank * channels + channel].product;
  }
  return all;
}

}  // namespace convoy::batch_norm
