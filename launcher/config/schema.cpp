// schema(): the keys of describe.h as JSON Schema.
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "launcher/config/compose.h"
#include "launcher/config/visitors.h"

namespace convoy {
namespace {

using nlohmann::ordered_json;

template <class T>
ordered_json type_schema(const T& value, const Key& key);

ordered_json layers_schema() {
  const ordered_json layer = {{"anyOf",
                               {{{"type", "string"}},
                                {{"type", "object"},
                                 {"minProperties", 1},
                                 {"maxProperties", 1},
                                 {"additionalProperties", {{"type", "object"}}}}}}};
  return {{"type", "array"}, {"items", layer}};
}

void add_range(ordered_json& schema, const Range& range) {
  if (std::isfinite(range.low)) schema[range.low_open ? "exclusiveMinimum" : "minimum"] = range.low;
  if (std::isfinite(range.high)) schema[range.high_open ? "exclusiveMaximum" : "maximum"] = range.high;
}

// Collects one section's keys.
class SchemaKeys {
 public:
  template <class T>
  void key(const T& field, const Key& key) {
    ordered_json schema = type_schema(field, key);
    schema["description"] = std::string(key.doc) + (key.only_for.empty() ? "" : " (" + std::string(key.only_for) + ")");
    if constexpr (!Section<T> && !IsOptional<T>::value) add_default(schema, field, key);
    properties[key.name] = schema;
    if (key.required && key.only_for.empty()) required.push_back(key.name);
  }
  void elsewhere(const Key& key) {
    properties[key.name] = {{"type", "string"}, {"description", key.doc}};
    if (key.name == "base") properties[key.name]["type"] = {"string", "array"};
    if (key.name == "blocks") properties[key.name]["type"] = "object";
  }
  void place(const Mark&) {}

  ordered_json properties = ordered_json::object();
  ordered_json required = ordered_json::array();

 private:
  template <class T>
  static void add_default(ordered_json& schema, const T& field, const Key& key) {
    if constexpr (std::is_enum_v<T>) {
      if (!key.required) schema["default"] = names_of(field).at(static_cast<size_t>(field));
    } else if constexpr (std::same_as<T, std::string>) {
      if (!field.empty()) schema["default"] = field;
    } else if constexpr (std::is_arithmetic_v<T>) {
      if (!key.required && key.range.contains(static_cast<double>(field))) schema["default"] = field;
    } else if constexpr (List<T> && std::same_as<typename T::value_type, double>) {
      schema["default"] = field;
    }
  }
};

template <class T>
ordered_json section_schema(const T& value) {
  SchemaKeys visitor;
  T section = value;
  describe(visitor, section);
  ordered_json schema = {
      {"type", "object"}, {"additionalProperties", false}, {"properties", std::move(visitor.properties)}};
  if (!visitor.required.empty()) schema["required"] = std::move(visitor.required);
  return schema;
}

template <class T>
ordered_json type_schema(const T& value, const Key& key) {
  if constexpr (IsOptional<T>::value) {
    return type_schema(typename T::value_type{}, key);
  } else if constexpr (std::same_as<T, LearningRate>) {
    ordered_json schema = section_schema(value);
    schema["type"] = {"number", "object"};
    add_range(schema, key.range);  // which says nothing of objects
    return schema;
  } else if constexpr (Section<T>) {
    return section_schema(value);
  } else if constexpr (std::same_as<T, std::vector<LayerConfig>>) {
    return layers_schema();
  } else if constexpr (List<T>) {
    ordered_json schema = {{"type", "array"}, {"items", type_schema(typename T::value_type{}, key)}};
    if constexpr (!requires(T list) { list.resize(1); }) {
      schema["minItems"] = value.size();
      schema["maxItems"] = value.size();
    }
    return schema;
  } else if constexpr (std::is_enum_v<T>) {
    static constexpr auto kNames = names_of(T{});
    return {{"type", "string"}, {"enum", kNames}};
  } else if constexpr (std::same_as<T, bool>) {
    return {{"type", "boolean"}};
  } else if constexpr (std::is_arithmetic_v<T>) {
    ordered_json schema = {{"type", std::integral<T> ? "integer" : "number"}};
    add_range(schema, key.range);
    return schema;
  } else {
    ordered_json schema = {{"type", "string"}, {"minLength", 1}};
    if (!key.pattern.empty()) schema["pattern"] = "^" + std::string(key.pattern) + "$";
    return schema;
  }
}

// "not both": JSON Schema's words for kExclusive.
void add_exclusions(ordered_json& schema) {
  for (const auto& [section, one, other] : kExclusive) {
    const ordered_json both = {{"not", {{"required", {one, other}}}}};
    schema["properties"][std::string(section)]["allOf"].push_back(both);
  }
}

}  // namespace

std::string schema() {
  ordered_json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "Convoy experiment"}};
  schema.update(section_schema(Experiment{}));
  // A file with `base` may leave any section to the files it inherits from.
  schema["if"] = {{"not", {{"required", {"base"}}}}};
  schema["then"] = {{"required", schema["required"]}};
  schema.erase("required");
  add_exclusions(schema);
  return schema.dump(2) + "\n";
}

}  // namespace convoy
