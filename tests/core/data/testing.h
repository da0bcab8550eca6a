// IDX files to order, what is in a store, and where the real data sets lie.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "core/data/image_store.h"
#include "tests/core/io/testing.h"  // gzip, tar_file

namespace convoy {

inline std::string idx_header(const std::vector<uint32_t>& dims, int type = 8) {
  std::string bytes = {0, 0, static_cast<char>(type), static_cast<char>(dims.size())};
  for (const uint32_t dim : dims)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(dim >> shift);
  return bytes;
}

// "name label" of each image.
inline std::vector<std::string> names_and_labels(const ImageStore& store) {
  std::vector<std::string> all;
  for (int64_t i = 0; i < store.size(); ++i) all.push_back(store.name(i) + " " + std::to_string(store.label(i)));
  return all;
}

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Folder of real data sets, or empty: CONVOY_TEST_DATA, else ../shared/data beside the repository.
inline std::string test_data(const std::string& name) {
  const char* from_environment = std::getenv("CONVOY_TEST_DATA");
  const std::string path =
      std::string(from_environment != nullptr ? from_environment : CONVOY_DEFAULT_TEST_DATA) + "/" + name;
  return std::filesystem::exists(path) ? path : "";
}

}  // namespace convoy
