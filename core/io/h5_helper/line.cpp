#include "core/io/h5_helper/line.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <unistd.h>

namespace convoy::h5 {
namespace {

constexpr int kGone = 1;

// At least one byte.
size_t read_some(std::span<std::byte> out) {
  for (;;) {
    const ssize_t got = ::read(STDOUT_FILENO, out.data(), out.size());
    if (got > 0) return static_cast<size_t>(got);
    if (got == 0 || errno != EINTR) ::_exit(kGone);
  }
}

}  // namespace

void Line::read(std::span<std::byte> out) {
  while (!out.empty()) {
    if (buffered_.empty() && out.size() >= buffer_.size()) {
      out = out.subspan(read_some(out));
      continue;
    }
    if (buffered_.empty()) buffered_ = std::span(buffer_).first(read_some(buffer_));
    const size_t step = std::min(out.size(), buffered_.size());
    std::memcpy(out.data(), buffered_.data(), step);
    out = out.subspan(step);
    buffered_ = buffered_.subspan(step);
  }
}

void Line::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) ::_exit(kGone);
    if (written > 0) bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

}  // namespace convoy::h5
