#include "launcher/prediction_text.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <numeric>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/log.h"
#include "launcher/inference.h"

namespace convoy {
namespace {

[[gnu::format(printf, 1, 2)]] std::string printed(const char* format, ...) {
  char text[128];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

std::string json_text(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// JSON has no infinities.
std::string json_number(float value) { return std::isfinite(value) ? printed("%.9g", double{value}) : "null"; }

}  // namespace

std::string class_name(const std::vector<std::string>& names, int label) {
  const auto index = static_cast<size_t>(label);
  return index < names.size() ? names[index] : std::to_string(label);
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? std::string("\"\"") : std::string(1, c);
  return field + "\"";
}

PredictionFormat prediction_format(const std::string& name) {
  if (name == "text") return PredictionFormat::kText;
  if (name == "csv") return PredictionFormat::kCsv;
  if (name == "jsonl") return PredictionFormat::kJsonl;
  throw Error(ExitCode::kUsage, "--format: expected text, csv or jsonl, found '" + name + "'");
}

std::string PredictionText::heading() const {
  if (format_ != PredictionFormat::kCsv) return "";
  return std::string("path,rank,class,name,probability") + (logits_ ? ",logit\n" : "\n");
}

void PredictionText::append(std::string& to, const std::string& path, std::span<const float> logits) {
  softmax(logits, probabilities_);
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0);
  const auto shown = std::min<std::ptrdiff_t>(top_, static_cast<std::ptrdiff_t>(logits.size()));
  const auto likelier = [&](int a, int b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    const bool x_is_number = !std::isnan(x), y_is_number = !std::isnan(y);
    if (x_is_number != y_is_number) return x_is_number;
    return x != y && x_is_number ? x > y : a < b;
  };
  std::partial_sort(order_.begin(), order_.begin() + shown, order_.end(), likelier);
  order_.resize(static_cast<size_t>(shown));
  switch (format_) {
    case PredictionFormat::kText: return append_text(to, path, logits);
    case PredictionFormat::kCsv: return append_csv(to, path, logits);
    case PredictionFormat::kJsonl: return append_json(to, path, logits);
  }
}

void PredictionText::append_text(std::string& to, const std::string& path, std::span<const float> logits) const {
  to += printable(path) + "\n";
  for (size_t i = 0; i < order_.size(); ++i) {
    const auto label = static_cast<size_t>(order_[i]);
    to += printed("%5zu  %7.3f %%", i + 1, 100 * probabilities_[label]);
    if (logits_) to += printed("  %12.6g", double{logits[label]});
    to += "  " + printable(name_of(order_[i])) + "\n";
  }
}

void PredictionText::append_csv(std::string& to, const std::string& path, std::span<const float> logits) const {
  const std::string image = csv_field(path);
  for (size_t i = 0; i < order_.size(); ++i) {
    const auto label = static_cast<size_t>(order_[i]);
    to += image + printed(",%zu,%zu,", i + 1, label) + csv_field(name_of(order_[i])) +
          printed(",%.6f", probabilities_[label]);
    if (logits_) to += printed(",%.9g", double{logits[label]});
    to += "\n";
  }
}

void PredictionText::append_json(std::string& to, const std::string& path, std::span<const float> logits) const {
  to += "{\"path\":" + json_text(path) + ",\"top\":[";
  for (size_t i = 0; i < order_.size(); ++i) {
    const auto label = static_cast<size_t>(order_[i]);
    to += printed("%s{\"rank\":%zu,\"class\":%zu,\"name\":", i == 0 ? "" : ",", i + 1, label) +
          json_text(name_of(order_[i])) + ",\"probability\":" +
          (std::isfinite(probabilities_[label]) ? printed("%.6f", probabilities_[label]) : "null") + "}";
  }
  to += "]";
  if (logits_) {
    to += ",\"logits\":[";
    for (size_t i = 0; i < logits.size(); ++i) to += (i == 0 ? "" : ",") + json_number(logits[i]);
    to += "]";
  }
  to += "}\n";
}

}  // namespace convoy
