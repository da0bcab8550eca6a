// Dimensions of arrays of any rank, as headers of files state them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace convoy {

std::string dims_text(std::span<const int64_t> dims);  // "64x3x3x16"; "scalar"

// first * dims[0] * dims[1] * …, or nothing where that is more than 2^63 - 1.
std::optional<int64_t> dims_product(int64_t first, std::span<const int64_t> dims);

}  // namespace convoy
