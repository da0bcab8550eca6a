#include "launcher/layer_rows.h"

#include <algorithm>
#include <cstdio>

namespace convoy {
namespace {

// "name  type  output  parameters  MMAC/image"; `width` is that of names.
std::string line(size_t width, const std::string& name, const std::string& type, const std::string& output,
                 const std::string& parameters, const std::string& cost) {
  std::string text = name + std::string(width - name.size(), ' ');
  char rest[200];
  std::snprintf(rest, sizeof rest, " %-22s %-18s %12s %12s\n", type.c_str(), output.c_str(), parameters.c_str(),
                cost.c_str());
  return text + rest;
}

std::string millions(int64_t number) {
  char text[40];
  std::snprintf(text, sizeof text, "%.2f", static_cast<double>(number) / 1e6);
  return text;
}

}  // namespace

std::vector<LayerRow> layer_rows(const Graph& graph) {
  std::vector<LayerRow> rows;
  for (const Graph::Node& node : graph.nodes()) {
    const std::vector<Shape> inputs = graph.input_shapes(node);
    LayerRow row{node.name, node.layer->type(), graph.shape(node.output)};
    for (const ParameterSpec& parameter : node.layer->parameters(inputs)) row.parameters += parameter.shape.elements();
    row.multiply_adds = node.layer->forward_flops(inputs) / 2 / row.output.n;
    rows.push_back(std::move(row));
  }
  return rows;
}

LayerRow sum_of(const std::vector<LayerRow>& rows) {
  LayerRow sum{.name = "total"};
  for (const LayerRow& row : rows) {
    sum.parameters += row.parameters;
    sum.multiply_adds += row.multiply_adds;
  }
  return sum;
}

std::string table(const std::vector<LayerRow>& rows) {
  size_t width = 28;
  for (const LayerRow& row : rows) width = std::max(width, row.name.size());
  std::string text = line(width, "layer", "type", "output", "parameters", "MMAC/image");
  for (const LayerRow& row : rows) {
    text += line(width, row.name, row.type, to_string(row.output), std::to_string(row.parameters),
                 millions(row.multiply_adds));
  }
  const LayerRow sum = sum_of(rows);
  return text + line(width, sum.name, "", "", std::to_string(sum.parameters), millions(sum.multiply_adds));
}

}  // namespace convoy
