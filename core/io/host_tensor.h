// A tensor in host memory, as the readers of foreign files hand it over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace convoy {

struct HostTensor {
  std::string name;
  std::vector<int64_t> dims;  // of any rank; empty is a scalar
  std::vector<float> values;  // row-major; what a file holds as f16, bf16, f64 or integers was converted
};

}  // namespace convoy
