// The layers of a network as a table: shapes, parameters, cost.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/graph/graph.h"

namespace convoy {

// Of one layer, or the sums of all.
struct LayerRow {
  std::string name = {}, type = {};
  Shape output = {};
  int64_t parameters = 0;     // without running statistics
  int64_t multiply_adds = 0;  // forward, of one image; of convolutions and linear layers only
};

// In the order in which they run.
std::vector<LayerRow> layer_rows(const Graph& graph);
LayerRow sum_of(const std::vector<LayerRow>& rows);

// For people, with the sums at the end.
std::string table(const std::vector<LayerRow>& rows);

}  // namespace convoy
