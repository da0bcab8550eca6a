// Predictions as text: for people, as CSV and as JSON lines.  docs/predict.md describes the columns.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace convoy {

enum class PredictionFormat { kText, kCsv, kJsonl };
// "text", "csv" or "jsonl".  Throws Error(kUsage).
PredictionFormat prediction_format(const std::string& name);

// A class without a name is its number.
std::string class_name(const std::vector<std::string>& names, int label);
// As RFC 4180 has it: quoted where it must be.
std::string csv_field(const std::string& text);

class PredictionText {
 public:
  // `top`: classes shown of each image, at most all.  `logits`: shown too.
  PredictionText(PredictionFormat format, int top, bool logits, std::vector<std::string> class_names)
      : format_(format), top_(top), logits_(logits), class_names_(std::move(class_names)) {}

  std::string heading() const;  // before the first image; may be empty
  // Appends what is said of one image: its classes by falling probability, of equal ones the lower number first.
  void append(std::string& to, const std::string& path, std::span<const float> logits);

 private:
  std::string name_of(int label) const { return class_name(class_names_, label); }
  void append_text(std::string& to, const std::string& path, std::span<const float> logits) const;
  void append_csv(std::string& to, const std::string& path, std::span<const float> logits) const;
  void append_json(std::string& to, const std::string& path, std::span<const float> logits) const;

  const PredictionFormat format_;
  const int top_;
  const bool logits_;
  const std::vector<std::string> class_names_;
  std::vector<double> probabilities_;  // of the image at hand, by class
  std::vector<int> order_;             // its classes, the first `top` of them
};

}  // namespace convoy
