// Numbers out of JSON files that a prediction starts from, which anybody may have written.
#pragma once

#include <string>

#include "core/base/file.h"
#include "core/io/limited_json.h"

namespace convoy {

inline nlohmann::json read_json(const std::string& path) {
  const std::vector<std::byte> bytes = read_file(path, int64_t{16} << 20);
  return parse_limited_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

// What `read` makes of it.  Throws Error(kBadData) where keys are missing or have other types than `writer` gives them.
template <class T, class Read>
T from_json(const std::string& path, const std::string& writer, Read read) {
  try {
    return read();
  } catch (const nlohmann::json::exception&) {
    bad_data(path, "not as `" + writer + "` says it");
  } catch (const std::domain_error& error) {
    bad_data(path, error.what());
  }
}

// Throws std::domain_error, for from_json().
inline double not_negative(const nlohmann::json& value) {
  const auto number = value.get<double>();
  if (number >= 0 && number < 1e18) return number;
  throw std::domain_error("expected a number that is not negative, found " + value.dump());
}

inline double positive(const nlohmann::json& value) {
  if (const double number = not_negative(value); number > 1e-15) return number;
  throw std::domain_error("expected a number above 0, found " + value.dump());
}

}  // namespace convoy
