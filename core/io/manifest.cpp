#include "core/io/manifest.h"

#include <algorithm>
#include <limits>

#include <nlohmann/json.hpp>

#include "core/base/hash.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

// The last lines of a manifest whose text so far is `body`.
std::string seal(std::string_view body) { return "  \"xxh3_128\": \"" + hash128_hex(body) + "\"\n}\n"; }

// Reads fields of one JSON object; every error names the file and the field.
class Fields {
 public:
  Fields(const Json& object, const std::string& file) : object_(object), file_(file) {
    if (!object.is_object()) throw Error(ExitCode::kBadData, file_ + ": expected a JSON object");
  }

  int64_t integer(const char* key, int64_t least, int64_t most = std::numeric_limits<int64_t>::max()) const {
    const Json& value = at(key);
    const uint64_t magnitude = value.is_number_unsigned() ? value.get<uint64_t>() : 0;
    const bool fits = value.is_number_integer() && magnitude <= static_cast<uint64_t>(most);
    if (!fits || value.get<int64_t>() < least)
      bad(key, "an integer from " + std::to_string(least) + " to " + std::to_string(most));
    return value.get<int64_t>();
  }
  uint64_t natural(const char* key) const {
    if (!at(key).is_number_unsigned()) bad(key, "a natural number");
    return at(key).get<uint64_t>();
  }
  std::string text(const char* key) const {
    if (!at(key).is_string()) bad(key, "a string");
    return at(key).get<std::string>();
  }
  const Json& object(const char* key) const {
    if (!at(key).is_object()) bad(key, "an object");
    return at(key);
  }

 private:
  const Json& at(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) throw Error(ExitCode::kBadData, file_ + ": expected a field '" + key + "', found none");
    return *found;
  }
  [[noreturn]] void bad(const char* key, const std::string& expected) const {
    throw Error(ExitCode::kBadData, file_ + ": '" + key + "': expected " + expected + ", found " + at(key).dump());
  }

  const Json& object_;
  const std::string& file_;
};

// The JSON of a manifest that is as it was written.
Json open_seal(std::string_view text, const std::string& file) {
  const size_t seal_bytes = seal("").size();
  const std::string_view body = text.substr(0, text.size() - std::min(text.size(), seal_bytes));
  if (text.substr(body.size()) != seal(body))
    throw Error(ExitCode::kBadData, file + ": damaged: its hash does not fit its text");
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ExitCode::kBadData, file + ": not JSON: " + error.what());
  }
}

}  // namespace

std::string format_manifest(const Manifest& manifest) {
  Json files = Json::object();
  for (const auto& [name, digest] : manifest.files)
    files[name] = {{"bytes", digest.bytes}, {"xxh3_128", digest.xxh3_128}};
  const Json json = {{"format", kManifestFormat},
                     {"step", manifest.step},
                     {"epoch", manifest.epoch},
                     {"samples_in_epoch", manifest.samples_in_epoch},
                     {"seed", manifest.seed},
                     {"world", manifest.world},
                     {"global_batch", manifest.global_batch},
                     {"micro_batch", manifest.micro_batch},
                     {"config_hash", manifest.config_hash},
                     {"data_hash", manifest.data_hash},
                     {"facts", Json(manifest.facts)},
                     {"files", files}};
  std::string body = json.dump(2);
  body.replace(body.size() - 2, 2, ",\n");  // for "\n}": the seal closes the object
  return body + seal(body);
}

Manifest parse_manifest(std::string_view text, const std::string& file) {
  const Json json = open_seal(text, file);
  const Fields fields(json, file);
  constexpr int kMaxInt = std::numeric_limits<int>::max();
  const int64_t format = fields.integer("format", 1);
  if (format > kManifestFormat)
    throw NewerFormat(ExitCode::kBadData, file + ": written by a later Convoy: expected format " +
                                              std::to_string(kManifestFormat) + ", found " + std::to_string(format));
  Manifest manifest;
  manifest.step = fields.integer("step", 0);
  manifest.epoch = fields.integer("epoch", 0);
  manifest.samples_in_epoch = fields.integer("samples_in_epoch", 0);
  manifest.seed = fields.natural("seed");
  manifest.world = static_cast<int>(fields.integer("world", 1, kMaxInt));
  manifest.global_batch = fields.integer("global_batch", 1);
  manifest.micro_batch = static_cast<int>(fields.integer("micro_batch", 1, kMaxInt));
  manifest.config_hash = fields.text("config_hash");
  manifest.data_hash = fields.text("data_hash");
  const Json& facts = fields.object("facts");
  for (const auto& fact : facts.items()) manifest.facts[fact.key()] = Fields(facts, file).text(fact.key().c_str());
  for (const auto& entry : fields.object("files").items()) {
    const Fields digest(entry.value(), file);
    manifest.files[entry.key()] = {digest.integer("bytes", 0), digest.text("xxh3_128")};
  }
  return manifest;
}

}  // namespace convoy
