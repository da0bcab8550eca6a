#include "launcher/sample_shape.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <span>

#include "core/io/byte_reader.h"

namespace convoy {
namespace {

// The first bytes of a file hold the header, inflated or not.
std::vector<std::byte> first_bytes(const std::string& path) {
  std::vector<std::byte> bytes(4096);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ExitCode::kNoInput, "cannot read '" + path + "': " + std::strerror(errno));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

Shape idx_sample(const std::string& path) {
  const std::vector<std::byte> bytes = first_bytes(path);
  ByteReader reader(bytes, path);
  const auto word = [&] {
    std::array<std::byte, 4> big_endian{};
    reader.read(big_endian);
    uint32_t value = 0;
    for (const std::byte byte : big_endian) value = value << 8 | std::to_integer<uint32_t>(byte);
    return value;
  };
  constexpr uint32_t kBytes3 = 0x0803, kBytes4 = 0x0804;  // unsigned bytes in 3 or 4 dimensions
  const uint32_t magic = word();
  word();  // images
  const uint32_t h = word(), w = word(), c = magic == kBytes4 ? word() : 1;
  const auto possible = [](uint32_t size) { return size >= 1 && size <= std::numeric_limits<int>::max(); };
  if ((magic != kBytes3 && magic != kBytes4) || !possible(h) || !possible(w) || !possible(c)) {
    throw Error(ExitCode::kBadData, path + ": expected an IDX file of images (n, h, w and perhaps c)");
  }
  return {1, static_cast<int>(h), static_cast<int>(w), static_cast<int>(c)};
}

}  // namespace

Shape sample_shape(const DataConfig& data) {
  if (data.format == DataFormat::kIdx) return idx_sample(data.train.value().images);
  const auto [h, w, c] = data.shape.value();
  return {1, h, w, c};
}

}  // namespace convoy
