#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/io/limited_json.h"
#include "launcher/config/values.h"
#include "launcher/exchange/network.h"

namespace convoy {
namespace {

using nlohmann::json;

struct Named {
  std::string_view name;
  Preprocessing value;
};

const std::vector<Named>& named() {
  static const std::vector<Named> kNamed = {
      {"rgb/255", {}},
      {"torch", {.mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}}},
      {"caffe",
       {.bgr = true, .mean = {103.939 / 255, 116.779 / 255, 123.68 / 255}, .std = {1.0 / 255, 1.0 / 255, 1.0 / 255}}},
      {"tf", {.mean = {0.5}, .std = {0.5}}},
      {"none", {.mean = {0}, .std = {1.0 / 255}}},
  };
  return kNamed;
}

}  // namespace

Preprocessing named_preprocessing(const std::string& name) {
  std::string known;
  for (const Named& it : named()) {
    if (it.name == name) return it.value;
    known += (known.empty() ? "" : ", ") + std::string(it.name);
  }
  throw Error(ExitCode::kUsage, "--preprocessing: expected one of " + known + ", found '" + name + "'");
}

Preprocessing preprocessing_of(const DataConfig& data) {
  const CropType crop = data.crop.type == CropType::kStretch ? CropType::kStretch : CropType::kCentre;
  return {.bgr = data.channel_order == ChannelOrder::kBgr,
          .mean = data.mean,
          .std = data.std,
          .crop = crop,
          .central = data.crop.central};
}

std::string to_json(const Preprocessing& it) {
  return json{{"channels", it.bgr ? "bgr" : "rgb"},
              {"mean", it.mean},
              {"std", it.std},
              {"crop", it.crop == CropType::kStretch ? "stretch" : "centre"},
              {"central", it.central}}
      .dump();
}

Preprocessing parse_preprocessing(const std::string& text, const std::string& where) {
  const json fields = parse_limited_json(text, where + ": preprocessing");
  const auto fail = [&](const std::string& what) { bad_data(where, "preprocessing: " + what); };
  if (!fields.is_object()) fail("expected a JSON object");
  Preprocessing out;
  const auto word = [&](const char* key, const std::string& one, const std::string& other) {
    const json value = fields.value(key, json());
    if (value != one && value != other) fail(std::string(key) + ": expected " + one + " or " + other);
    return value == one;
  };
  const auto numbers = [&](const char* key, double least) {
    const json value = fields.value(key, json());
    if (!value.is_array() || (value.size() != 1 && value.size() != 3))
      fail(std::string(key) + ": expected 1 or 3 numbers");
    std::vector<double> list;
    for (const json& number : value) {
      if (!number.is_number() || !(number.get<double>() >= least && number.get<double>() <= 1e6)) {
        fail(std::string(key) + ": a number is out of range");
      }
      list.push_back(number.get<double>());
    }
    return list;
  };
  out.bgr = word("channels", "bgr", "rgb");
  out.mean = numbers("mean", -1e6);
  out.std = numbers("std", 1e-9);
  out.crop = word("crop", "stretch", "centre") ? CropType::kStretch : CropType::kCentre;
  const json central = fields.value("central", json());
  if (!central.is_number() || !(central.get<double>() > 0 && central.get<double>() <= 1))
    fail("central: expected (0, 1]");
  out.central = central.get<double>();
  return out;
}

}  // namespace convoy
