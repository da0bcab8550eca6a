#include "core/io/safetensors_header.h"

#include <array>
#include <limits>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace convoy {
namespace {

constexpr size_t kMaxRank = 8;
constexpr const char* kMetadata = "__metadata__";
constexpr std::array kTypes = {StoredType::kF32, StoredType::kBF16, StoredType::kF16,
                               StoredType::kI32, StoredType::kU8,   StoredType::kI64};

// Reads the header event by event: a tree of JSON values would need many times the memory of a hostile text, and would
// silently keep one of two equal keys.
//
//   {                                                   depth 1: tensor names, __metadata__
//     "name": {                                         depth 2: fields
//       "dtype": "F32", "shape": [ … ], "data_offsets": [ b, e ] }     depth 3: numbers
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}
  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    if (depth_ > 1) fail("expected no object here");
    ++depth_;
    fields_.clear();
    return true;
  }

  bool key(string_t& name) override {
    if (depth_ == 1) {
      if (!names_.insert(name).second) throw bad("tensor '" + name + "' appears twice");
      name_ = name;
      if (name_ != kMetadata) header_.entries.push_back({.name = name_, .dims = {}});
      return true;
    }
    if (!fields_.insert(name).second) fail("'" + name + "' appears twice");
    field_ = name;
    if (!in_metadata() && field_ != "dtype" && field_ != "shape" && field_ != "data_offsets")
      fail("unknown field '" + field_ + "'");
    return true;
  }

  bool string(string_t& text) override {
    if (depth_ != 2 || (!in_metadata() && field_ != "dtype")) fail("expected no string in '" + field_ + "'");
    if (in_metadata()) {
      header_.metadata.emplace(field_, text);
      return true;
    }
    for (const StoredType type : kTypes)
      if (text == to_string(type)) {
        header_.entries.back().type = type;
        return true;
      }
    fail("expected dtype F32, BF16, F16, I32, U8 or I64, found '" + text + "'");
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata() || field_ == "dtype") fail("expected no array here");
    ++depth_;
    numbers_.clear();
    return true;
  }

  bool number_unsigned(number_unsigned_t number) override {
    if (depth_ != 3 || number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      fail("'" + field_ + "': number " + std::to_string(number) + " is out of place or range");
    if (numbers_.size() == kMaxRank) fail("'" + field_ + "': expected at most 8 numbers, found more");
    numbers_.push_back(static_cast<int64_t>(number));
    return true;
  }

  bool end_array() override {
    --depth_;
    HeaderEntry& entry = header_.entries.back();
    if (field_ == "shape") {
      entry.dims = numbers_;
    } else {
      if (numbers_.size() != 2) fail("expected two data_offsets, found " + std::to_string(numbers_.size()));
      entry.begin = numbers_[0];
      entry.end = numbers_[1];
    }
    return true;
  }

  bool end_object() override {
    if (depth_ == 2 && !in_metadata() && fields_.size() != 3)
      fail("expected dtype, shape and data_offsets, found " + std::to_string(fields_.size()) + " of them");
    --depth_;
    return true;
  }

  bool null() override { fail("expected no null"); }
  bool boolean(bool) override { fail("expected no true or false"); }
  bool number_integer(number_integer_t) override { fail("'" + field_ + "': expected no negative number"); }
  bool number_float(number_float_t, const string_t&) override { fail("'" + field_ + "': expected an integer"); }
  bool binary(binary_t&) override { fail("expected no binary"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw bad("not JSON at byte " + std::to_string(position));
  }

 private:
  bool in_metadata() const { return name_ == kMetadata; }
  Error bad(const std::string& what) const { return {ExitCode::kBadData, file_ + ": safetensors header: " + what}; }
  [[noreturn]] void fail(const std::string& what) const { throw bad("tensor '" + name_ + "': " + what); }

  const std::string& file_;
  SafetensorsHeader header_;
  int depth_ = 0;
  std::string name_, field_;
  std::set<std::string> names_, fields_;
  std::vector<int64_t> numbers_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& file) {
  if (!text.starts_with('{'))
    throw Error(ExitCode::kBadData, file + ": safetensors header: expected it to start with '{'");
  HeaderReader reader(file);
  nlohmann::json::sax_parse(text, &reader);
  return reader.take();
}

std::string format_safetensors_header(const SafetensorsHeader& header) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) json[kMetadata] = header.metadata;
  for (const HeaderEntry& entry : header.entries)
    json[entry.name] = {
        {"dtype", to_string(entry.type)}, {"shape", entry.dims}, {"data_offsets", {entry.begin, entry.end}}};
  return json.dump();
}

}  // namespace convoy
