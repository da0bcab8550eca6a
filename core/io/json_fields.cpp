#include "core/io/json_fields.h"

#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace convoy {
namespace {

// Event by event: no tree of a hostile text, and no silent choice between two fields of one name.
class FieldReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit FieldReader(const std::string& where) : where_(where) {}
  std::map<std::string, std::string> take() { return std::move(fields_); }

  bool start_object(std::size_t) override { return ++depth_, true; }
  bool end_object() override { return --depth_, true; }
  bool start_array(std::size_t) override { return ++depth_, true; }
  bool end_array() override { return --depth_, true; }
  bool key(string_t& name) override {
    if (depth_ != 1) return true;
    if (!names_.insert(name).second) throw Error(ExitCode::kBadData, where_ + ": '" + name + "' appears twice");
    name_ = name;
    return true;
  }
  bool string(string_t& text) override { return put(std::move(text)); }
  bool number_unsigned(number_unsigned_t number) override { return put(std::to_string(number)); }
  bool number_integer(number_integer_t number) override { return put(std::to_string(number)); }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool boolean(bool) override { return true; }
  bool null() override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw Error(ExitCode::kBadData, where_ + ": not JSON at byte " + std::to_string(position));
  }

 private:
  bool put(std::string text) {
    if (depth_ == 1) fields_[name_] = std::move(text);
    return true;
  }

  const std::string& where_;
  std::map<std::string, std::string> fields_;
  std::set<std::string> names_;
  std::string name_;
  int depth_ = 0;
};

}  // namespace

std::map<std::string, std::string> parse_json_fields(std::string_view text, const std::string& where) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || text[begin] != '{')
    throw Error(ExitCode::kBadData, where + ": expected a JSON object");
  FieldReader reader(where);
  nlohmann::json::sax_parse(text, &reader);
  return reader.take();
}

}  // namespace convoy
