#include "tests/layers/error_table.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace convoy {
namespace {

std::string cell(double error) {
  if (error < 0) return " – |";
  char text[32];
  std::snprintf(text, sizeof text, " %.1e |", error);
  return text;
}

class Printer : public testing::Environment {
 public:
  void TearDown() override {
    if (std::getenv("CONVOY_LAYER_ERRORS") != nullptr) std::fputs(error_table().markdown().c_str(), stdout);
  }
};
const testing::Environment* const kPrinter = testing::AddGlobalTestEnvironment(new Printer);

}  // namespace

void ErrorTable::add(const std::string& layer, Dtype dtype, Pass pass, double error) {
  const auto [row, inserted] = worst_.try_emplace({layer, dtype}, std::array{-1.0, -1.0, -1.0});
  double& worst = row->second[static_cast<size_t>(pass)];
  if (!(error <= worst)) worst = error;
}

std::string ErrorTable::markdown() const {
  std::string text = "| layer | dtype | forward | dx | dw |\n|---|---|---|---|---|\n";
  for (const auto& [key, errors] : worst_) {
    text += "| " + key.first + " | " + to_string(key.second) + " |";
    for (double error : errors) text += cell(error);
    text += "\n";
  }
  return text;
}

ErrorTable& error_table() {
  static ErrorTable table;
  return table;
}

}  // namespace convoy
