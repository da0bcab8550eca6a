#include "core/data/store_subset.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/hash.h"

namespace convoy {
namespace {

double draw(const std::string& name) { return static_cast<double>(hash64(name)) * 0x1p-64; }  // [0, 1]

}  // namespace

StoreSubset::StoreSubset(std::shared_ptr<const ImageStore> all, std::vector<int64_t> images)
    : all_(std::move(all)), images_(std::move(images)) {}

std::string StoreSubset::fingerprint() const {
  return hash128_hex(all_->fingerprint() + " " + hash128_hex(std::as_bytes(std::span(images_))));
}

ImageSplits split_by_name(const std::shared_ptr<const ImageStore>& all, double fraction) {
  CHECK(fraction > 0 && fraction < 1);
  if (all->size() < 2)
    throw Error(ExitCode::kBadData, "expected at least 2 images to split, found " + std::to_string(all->size()));
  std::vector<int64_t> train, validation;
  std::vector<double> draws;
  for (int64_t i = 0; i < all->size(); ++i) {
    draws.push_back(draw(all->name(i)));
    (draws.back() < fraction ? validation : train).push_back(i);
  }
  const auto nearest_to = [&](bool lowest) {
    const auto image = lowest ? std::ranges::min_element(draws) : std::ranges::max_element(draws);
    return static_cast<int64_t>(image - draws.begin());
  };
  if (validation.empty()) std::erase(train, validation.emplace_back(nearest_to(true)));
  if (train.empty()) std::erase(validation, train.emplace_back(nearest_to(false)));
  return {std::make_shared<StoreSubset>(all, std::move(train)),
          std::make_shared<StoreSubset>(all, std::move(validation))};
}

}  // namespace convoy
