#include "launcher/exchange/keras_json.h"

#include <cmath>
#include <utility>

#include "core/base/error.h"

namespace convoy {

using nlohmann::json;

namespace {

std::string shortened(const json& value) {
  const std::string text =
      value.is_structured() ? value.type_name() : value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() <= 100 ? text : text.substr(0, 100) + "…";
}

}  // namespace

bool as_integer(const json& value, int& out) {
  if (!value.is_number()) return false;
  const double number = value.get<double>();
  if (!(std::abs(number) <= std::numeric_limits<int>::max()) || number != std::floor(number)) return false;
  out = static_cast<int>(number);
  return true;
}

KerasFields::KerasFields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (!object.is_object()) bad_data(where_, "expected a JSON object, found " + shortened(object));
}

const json* KerasFields::find(const char* key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const json& KerasFields::require(const char* key) const {
  const json* value = find(key);
  if (value == nullptr) fail(key, "missing");
  return *value;
}

void KerasFields::fail(const std::string& key, const std::string& what) const { bad_data(where_, key + ": " + what); }

void KerasFields::refuse(const std::string& what) const { throw Error(ExitCode::kConfig, where_ + ": " + what); }

std::string KerasFields::text(const char* key) const {
  const json& value = require(key);
  if (!value.is_string()) fail(key, "expected text, found " + shortened(value));
  return value.get<std::string>();
}

std::string KerasFields::text_or(const char* key, const std::string& otherwise) const {
  return has(key) ? text(key) : otherwise;
}

bool KerasFields::boolean_or(const char* key, bool otherwise) const {
  const json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) fail(key, "expected true or false, found " + shortened(*value));
  return value->get<bool>();
}

double KerasFields::number(const char* key) const {
  const json& value = require(key);
  if (!value.is_number() || !std::isfinite(value.get<double>()))
    fail(key, "expected a number, found " + shortened(value));
  return value.get<double>();
}

double KerasFields::number_or(const char* key, double otherwise) const { return has(key) ? number(key) : otherwise; }

int KerasFields::integer(const char* key) const {
  int out = 0;
  if (!as_integer(require(key), out)) fail(key, "expected an integer, found " + shortened(require(key)));
  return out;
}

int KerasFields::integer_or(const char* key, int otherwise) const { return has(key) ? integer(key) : otherwise; }

std::array<int, 2> KerasFields::pair(const char* key) const {
  const json& value = require(key);
  std::array<int, 2> out{};
  const bool single = as_integer(value, out[0]);
  if (single) out[1] = out[0];
  const bool both =
      value.is_array() && value.size() == 2 && as_integer(value[0], out[0]) && as_integer(value[1], out[1]);
  if ((!single && !both) || out[0] < 1 || out[1] < 1) {
    fail(key, "expected a number or two, from 1, found " + shortened(value));
  }
  return out;
}

std::array<int, 2> KerasFields::pair_or(const char* key, std::array<int, 2> otherwise) const {
  return has(key) ? pair(key) : otherwise;
}

}  // namespace convoy
