#include "core/io/manifest.h"

#include <array>
#include <limits>

#include "core/base/hash.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

Manifest example() {
  Manifest manifest;
  manifest.step = 1234;
  manifest.epoch = 3;
  manifest.samples_in_epoch = 960;
  manifest.seed = std::numeric_limits<uint64_t>::max();
  manifest.world = 4;
  manifest.global_batch = 96;
  manifest.micro_batch = 8;
  manifest.config_hash = "c0";
  manifest.data_hash = "da";
  manifest.facts = {{"onednn", "2.6"}, {"threads", "2"}};
  manifest.files = {{"model.safetensors", {100, "00ff"}}};
  return manifest;
}

// `text` with this change, under a fresh seal: what a manifest says must be checked even where its hash fits.
std::string resealed(const std::string& from, const std::string& to) {
  std::string text = format_manifest(example());
  text = text.substr(0, text.rfind("  \"xxh3_128\""));
  text.replace(text.find(from), from.size(), to);
  return text + "  \"xxh3_128\": \"" + hash128_hex(text) + "\"\n}\n";
}

TEST(Manifest, IsReadBack) {
  const Manifest found = parse_manifest(format_manifest(example()), "m");
  EXPECT_EQ(format_manifest(found), format_manifest(example()));
  EXPECT_EQ(found.step, 1234);
  EXPECT_EQ(found.seed, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(found.facts.at("threads"), "2");
  EXPECT_EQ(found.files.at("model.safetensors"), (FileDigest{100, "00ff"}));
}

TEST(Manifest, AnyChangedBitTruncationOrExtensionIsRefused) {
  const std::string text = format_manifest(example());
  for (size_t i = 0; i < text.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ 1 << bit);
      expect_error(ExitCode::kBadData, {"m: damaged"}, [&] { parse_manifest(damaged, "m"); });
    }
  for (size_t n = 0; n < text.size(); ++n)
    expect_error(ExitCode::kBadData, {"m: damaged"}, [&] { parse_manifest(text.substr(0, n), "m"); });
  expect_error(ExitCode::kBadData, {"m: damaged"}, [&] { parse_manifest(text + "\n", "m"); });
}

TEST(Manifest, ALaterFormatIsNamedAsSuch) {
  const std::string text = resealed("\"format\": 1", "\"format\": 2");
  EXPECT_THROW(parse_manifest(text, "m"), NewerFormat);
  expect_error(ExitCode::kBadData, {"m: ", "expected format 1, found 2"}, [&] { parse_manifest(text, "m"); });
}

TEST(Manifest, FieldsAreCheckedUnderAFittingHash) {
  const std::vector<std::array<std::string, 3>> cases = {
      {"\"step\": 1234", "\"stop\": 1234", "field 'step', found none"},
      {"\"step\": 1234", "\"step\": -1", "'step': expected an integer from 0"},
      {"\"step\": 1234", "\"step\": 1e300", "'step'"},
      {"\"step\": 1234", "\"step\": 9223372036854775808", "'step'"},
      {"\"world\": 4", "\"world\": 0", "'world': expected an integer from 1 to 2147483647, found 0"},
      {"\"world\": 4", "\"world\": 2147483648", "'world'"},
      {"\"seed\": 18446744073709551615", "\"seed\": -1", "'seed'"},
      {"\"c0\"", "17", "'config_hash': expected a string, found 17"},
      {"\"threads\": \"2\"", "\"threads\": 2", "'threads': expected a string"},
      {"\"bytes\": 100", "\"bytes\": \"100\"", "'bytes'"},
      {"\"files\": {", "\"files\": {\"x\": 1,", "expected a JSON object"},
      {"\"step\": 1234", "\"step\": 1234,,", "not JSON"}};
  for (const auto& it : cases) {  // from, to, expected
    expect_error(ExitCode::kBadData, {"m: ", it[2]}, [&] { parse_manifest(resealed(it[0], it[1]), "m"); });
  }
}

}  // namespace
}  // namespace convoy
