#include "core/data/label_table.h"

#include <algorithm>

#include "core/base/error.h"

namespace convoy {
namespace {

constexpr size_t kMaxDigits = 6;

bool is_number(const std::string& label) { return label.find_first_not_of("0123456789") == std::string::npos; }

}  // namespace

void LabelTable::add(const std::string& label, const std::string& where) {
  const auto bad = [&](const std::string& expected) {
    throw Error(ExitCode::kBadData, where + ": expected " + expected + ", found '" + label + "'");
  };
  if (label.empty()) bad("a label");
  if (labels_.empty()) numbers_ = is_number(label);
  if (numbers_ && !is_number(label)) bad("a number as the labels before");
  if (!numbers_ && is_number(label)) bad("a name as the labels before");
  if (!numbers_) {
    const int next = static_cast<int>(names_.size());
    return labels_.push_back(names_.emplace(label, next).first->second);
  }
  if (label.size() > kMaxDigits) bad("a label of 0 to 999999");
  labels_.push_back(std::stoi(label));
  largest_ = std::max(largest_, labels_.back());
}

std::vector<std::string> LabelTable::class_names() const {
  std::vector<std::string> names;
  for (const auto& [name, order] : names_) names.push_back(name);
  if (numbers_)
    for (int label = 0; label <= largest_; ++label) names.push_back(std::to_string(label));
  return names;
}

std::vector<int> LabelTable::labels() const {
  if (numbers_) return labels_;
  std::vector<int> sorted(names_.size());
  int place = 0;
  for (const auto& [name, order] : names_) sorted[static_cast<size_t>(order)] = place++;
  std::vector<int> labels;
  for (const int order : labels_) labels.push_back(sorted[static_cast<size_t>(order)]);
  return labels;
}

}  // namespace convoy
