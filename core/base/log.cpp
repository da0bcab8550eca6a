#include "core/base/log.h"

#include <algorithm>
#include <cerrno>
#include <string>

#include <unistd.h>

#include "core/base/utf8.h"

namespace convoy {
namespace {

std::string_view label(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug: ";
    case LogLevel::kInfo: return "";
    case LogLevel::kWarning: return "warning: ";
    case LogLevel::kError: return "error: ";
  }
  return "";
}

bool is_control(std::string_view character) {
  const auto byte = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  return byte == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;  // U+0080 ... U+009F
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const std::string_view character = text.substr(0, std::max<size_t>(length, 1));
    out += length == 0 || is_control(character) ? "?" : character;
    text.remove_prefix(character.size());
  }
  return out;
}

void Log::write(LogLevel level, std::string_view text) const {
  if (level < level_) return;
  const std::string prefix = rank_ >= 0 ? "[r" + std::to_string(rank_) + "] " : "";
  std::string out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    out += prefix;
    out += begin == 0 ? label(level) : "  ";
    out += printable(text.substr(begin, end - begin));
    out += '\n';
    begin = end + 1;
  }
  for (std::string_view rest = out; !rest.empty();) {  // once, but for a full pipe or a signal
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace convoy
