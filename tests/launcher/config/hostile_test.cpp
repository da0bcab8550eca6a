// Wrong input generated from the schema and from chance: each is one clear error or a configuration that prints and
// loads back; nothing else.
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

using nlohmann::json;

struct SchemaKey {
  std::string section;  // "optimizer.groups[]" for items of a list
  std::string name;
  json schema;

  std::string path() const { return section.empty() ? name : section + "." + name; }
};

void collect(const json& schema, const std::string& section, std::vector<SchemaKey>& keys) {
  for (const auto& [name, key] : schema.at("properties").items()) {
    keys.push_back({section, name, key});
    const std::string path = keys.back().path();
    if (key.contains("properties")) collect(key, path, keys);
    if (key.contains("items") && key.at("items").contains("properties")) collect(key.at("items"), path + "[]", keys);
  }
}

std::vector<SchemaKey> all_keys() {
  std::vector<SchemaKey> keys;
  collect(json::parse(schema()), "", keys);
  return keys;
}

struct Condition {
  std::string name, value;
};

// What must hold so that the key applies: "(type: adam)" at the end of its description; the first where there are
// several.
std::optional<Condition> condition_of(const SchemaKey& key) {
  const std::string doc = key.schema.value("description", "");
  const size_t open = doc.rfind('('), colon = doc.find(": ", open);
  if (!doc.ends_with(')') || open == std::string::npos || colon == std::string::npos) return std::nullopt;
  const size_t end = doc.find_first_of(" ,)", colon + 2);
  return Condition{doc.substr(open + 1, colon - open - 1), doc.substr(colon + 2, end - colon - 2)};
}

// `key=value` in its section as an override: "data.train.images=3", "optimizer.groups=[{match: 3}]".
std::string override_of(const SchemaKey& key, const std::string& name, const std::string& value) {
  if (!key.section.ends_with("[]")) return (key.section.empty() ? "" : key.section + ".") + name + "=" + value;
  std::string first = key.section == "optimizer.groups[]" && name != "match" ? "match: x, " : "";
  if (key.section == "train.stages[]" && name != "epochs") first = "epochs: 1, ";
  if (const auto condition = condition_of(key)) first = condition->name + ": " + condition->value + ", ";
  return key.section.substr(0, key.section.size() - 2) + "=[{" + first + name + ": " + value + "}]";
}

// What must hold so that the section may be there.
std::vector<std::string> conditions_of_section(const SchemaKey& key) {
  if (key.section == "optimizer.learning_rate") return {"optimizer.learning_rate={base: 0.1, per: 256}"};
  if (key.section == "schedule.plateau" || key.section == "train.early_stopping") return {key.section + "={}"};
  if (key.section == "loss.teacher") return {"loss.teacher.file=x"};
  if (key.section != "data.crop") return {};
  return {"data.format=images", "data.train=null", "data.shape=[8,8,1]", "data.path=x"};
}

std::vector<std::string> conditions_of(const SchemaKey& key) {
  std::vector<std::string> overrides = conditions_of_section(key);
  const auto needed = condition_of(key);
  if (!needed || key.section.ends_with("[]")) return overrides;  // override_of() has it within the item
  const std::string condition = key.section + "." + needed->name + "=" + needed->value;
  overrides.push_back(condition);
  if (condition == "data.format=synthetic" || condition == "data.format=images") {
    overrides.insert(overrides.end(), {"data.train=null", "data.shape=[8,8,1]"});
  }
  if (condition == "data.format=images") overrides.push_back("data.path=x");
  return overrides;
}

std::vector<std::string> misspellings(const std::string& word) {
  std::string dropped = word, swapped = word, doubled = word, replaced = word;
  dropped.erase(1, 1);
  std::swap(swapped[word.size() - 2], swapped[word.size() - 1]);
  doubled.insert(word.size() / 2, 1, word[word.size() / 2]);
  replaced[word.size() / 2] = 'q';
  std::vector<std::string> words = {dropped, doubled, replaced};
  if (swapped != word) words.push_back(swapped);
  return words;
}

// Values that are not a number in the key's range.
std::vector<std::string> wrong_numbers(const json& schema) {
  std::vector<std::string> values = {"abc",   "010",  "0x10", "0o17",   "1_000", "+1",   "1;5", "1e999",
                                     "yes",   "true", ".nan", ".inf",   "-.inf", "nan",  "inf", "'1'",
                                     "\"2\"", "[]",   "{}",   "[1, 2]", "1 2",   "0.1f", "--1", "1.2.3"};
  const auto shifted = [&](const char* limit, double by) {
    if (schema.contains(limit)) values.push_back(json(schema.at(limit).get<double>() + by).dump());
  };
  const bool integer = schema.at("type") == "integer";
  if (integer) values.insert(values.end(), {"1e3", "1.5", "2.0", "99999999999999999999"});
  shifted("exclusiveMinimum", 0);
  shifted("exclusiveMaximum", 0);
  shifted("minimum", -1);
  shifted("maximum", 1);
  return values;
}

class HostileTest : public ConfigTest {};

TEST_F(HostileTest, SchemaListsEveryKey) {
  const std::vector<SchemaKey> keys = all_keys();
  EXPECT_EQ(keys.size(), 197U);  // changes with every key added: look at the new key's range, default and documentation
  for (const SchemaKey& key : keys) EXPECT_TRUE(key.schema.contains("description")) << key.path();
}

TEST_F(HostileTest, EveryMisspeltKeyIsNamed) {
  for (const SchemaKey& key : all_keys()) {
    for (const std::string& word : misspellings(key.name)) {
      const std::string text = override_of(key, word, "1");
      std::vector<std::string> overrides = conditions_of_section(key);
      overrides.push_back(text);
      const std::string error = error_of(kMinimal, overrides);
      EXPECT_TRUE(error.starts_with("command line: " + text + ": ")) << error;
      EXPECT_TRUE(error.ends_with(word + ": unknown key, did you mean '" + key.name + "'?")) << error;
    }
  }
}

TEST_F(HostileTest, EveryWrongNumberIsRefusedWithItsRange) {
  int tried = 0;
  for (const SchemaKey& key : all_keys()) {
    const json type = key.schema.value("type", json());
    const bool or_section = type == json{"number", "object"};
    if (type != "integer" && type != "number" && !or_section) continue;
    for (const std::string& value : wrong_numbers(key.schema)) {
      if (or_section && value == "{}") continue;
      std::vector<std::string> overrides = conditions_of(key);
      overrides.push_back(override_of(key, key.name, value));
      const std::string error = error_of(kMinimal, overrides);
      EXPECT_NE(error.find(key.name + ": expected a"), std::string::npos) << overrides.back() << " gave: " << error;
      EXPECT_NE(error.find(", found "), std::string::npos) << error;
      ++tried;
    }
  }
  EXPECT_GT(tried, 800);
}

TEST_F(HostileTest, EveryWrongWordIsRefusedWithItsChoices) {
  for (const SchemaKey& key : all_keys()) {
    const bool boolean = key.schema.value("type", json()) == "boolean";
    if (!boolean && !key.schema.contains("enum")) continue;
    for (const char* value : {"yes", "on", "True", "FALSE", "1", "''", "'true'", "[true]", "{}", "cpuu", "none2"}) {
      if (!boolean && std::ranges::find(key.schema.at("enum"), value) != key.schema.at("enum").end()) continue;
      std::vector<std::string> overrides = conditions_of(key);
      overrides.push_back(override_of(key, key.name, value));
      const std::string error = error_of(kMinimal, overrides);
      const std::string first = boolean ? "true" : key.schema.at("enum").at(0).get<std::string>();
      EXPECT_NE(error.find(key.name + ": expected " + first), std::string::npos) << key.path() << "=" << value << error;
    }
  }
}

TEST_F(HostileTest, EveryDefaultOfTheSchemaIsItsOwnValue) {
  const std::string plain = show(load(kMinimal));
  for (const SchemaKey& key : all_keys()) {
    if (key.section == "model.base") continue;  // without one there is none, whatever its defaults
    if (!key.schema.contains("default") || key.section.ends_with("[]") || !conditions_of(key).empty()) continue;
    EXPECT_EQ(show(load(kMinimal, {override_of(key, key.name, key.schema.at("default").dump())})), plain) << key.path();
  }
}

// A few edits of bytes, or of spans copied from elsewhere in the text.
std::string mutated(std::string text, std::mt19937& random) {
  static const std::string kSyntax = "{}[]:,-#&*!|>'\"%@`?~<= \n\t\\0123456789.eE$";
  const auto below = [&](size_t n) { return random() % std::max<size_t>(n, 1); };
  for (size_t edits = 1 + below(4); edits > 0; --edits) {
    const size_t at = below(text.size());
    switch (below(5)) {
      case 0: text[at] = static_cast<char>(below(256)); break;
      case 1: text[at] = kSyntax[below(kSyntax.size())]; break;
      case 2: text.insert(at, 1, kSyntax[below(kSyntax.size())]); break;
      case 3: text.erase(at, 1 + below(8)); break;
      default: text.insert(at, text.substr(below(text.size()), below(40))); break;
    }
    if (text.empty()) text = "a";
  }
  return text;
}

void load_or_refuse(const std::string& text) {
  { std::ofstream("x.yaml", std::ios::binary) << text; }
  try {
    const std::string shown = show(load_experiment("x.yaml", {}));
    std::ofstream("y.yaml", std::ios::binary) << shown;
  } catch (const Error& error) {
    ASSERT_TRUE(error.code() == ExitCode::kConfig || error.code() == ExitCode::kNoInput) << error.what();
    ASSERT_TRUE(std::string(error.what()).starts_with("x.yaml")) << error.what();
    return;
  }
  const Experiment again = load_experiment("y.yaml", {});
  std::ifstream file("y.yaml");
  ASSERT_EQ(show(again), std::string(std::istreambuf_iterator<char>(file), {})) << text;
}

TEST_F(HostileTest, MutatedFilesLoadOrAreRefused) {
  std::mt19937 random(1);
  const std::string full = show(load(kMinimal, {"optimizer.groups=[{match: '*.bias', weight_decay: 0}]"}));
  for (int i = 0; i < 4000 && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(i);
    load_or_refuse(mutated(i % 2 == 0 ? kMinimal : full, random));
  }
}

TEST_F(HostileTest, RandomBytesAreRefused) {
  std::mt19937 random(2);
  for (int i = 0; i < 1000 && !HasFatalFailure(); ++i) {
    std::string text(random() % 200, ' ');
    for (char& c : text) c = static_cast<char>(random() % (i % 2 == 0 ? 256 : 128));
    load_or_refuse(text);
  }
}

}  // namespace
}  // namespace convoy
