// Descriptor 1, on which convoy-h5 and its parent talk.
#pragma once

#include <cstddef>
#include <span>

#include "core/io/hdf5_stream.h"

namespace convoy::h5 {

// Where the parent is gone the process ends.
class Line final : public ByteSource, public ByteSink {
 public:
  void read(std::span<std::byte> out) override;
  void write(std::span<const std::byte> bytes) override;

 private:
  std::vector<std::byte> buffer_ = std::vector<std::byte>(size_t{64} << 10);
  std::span<const std::byte> buffered_;
};

}  // namespace convoy::h5
