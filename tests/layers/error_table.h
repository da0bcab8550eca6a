// The worst relative errors that a run of tests met, by layer and dtype.
#pragma once

#include <array>
#include <map>
#include <string>
#include <utility>

#include "core/device/types.h"

namespace convoy {

enum class Pass { kForward, kDx, kDw };

class ErrorTable {
 public:
  void add(const std::string& layer, Dtype dtype, Pass pass, double error);
  std::string markdown() const;

 private:
  // By pass; negative: never compared.
  std::map<std::pair<std::string, Dtype>, std::array<double, 3>> worst_;
};

// Of this process; printed at its end when CONVOY_LAYER_ERRORS is set.
ErrorTable& error_table();

}  // namespace convoy
