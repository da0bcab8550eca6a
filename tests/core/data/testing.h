// IDX files to order, what is in a store, and where the real data sets lie.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "core/data/image_store.h"

namespace convoy {

inline std::string idx_header(const std::vector<uint32_t>& dims, int type = 8) {
  std::string bytes = {0, 0, static_cast<char>(type), static_cast<char>(dims.size())};
  for (const uint32_t dim : dims)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(dim >> shift);
  return bytes;
}

inline std::string gzip(const std::string& plain) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
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
