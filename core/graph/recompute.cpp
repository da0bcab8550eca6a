#include "core/graph/recompute.h"

#include <algorithm>
#include <limits>

namespace convoy {
namespace {

int first_loss(const Graph& graph) {
  const auto loss = std::ranges::find_if(graph.nodes(), [](const Graph::Node& node) { return node.layer->is_loss(); });
  return static_cast<int>(loss - graph.nodes().begin());
}

int64_t output_bytes(const Graph& graph, int node) {
  return graph.shape(graph.nodes()[static_cast<size_t>(node)].output).elements() * size_of(Dtype::kF32);
}

int64_t output_bytes(const Graph& graph, NodeRange range) {
  int64_t bytes = 0;
  for (int node = range.begin; node < range.end; ++node) bytes += output_bytes(graph, node);
  return bytes;
}

// By node: the last node that reads its output, or -1.
std::vector<int> last_readers(const Graph& graph) {
  std::vector<int> writer(static_cast<size_t>(graph.values()), -1), last(graph.nodes().size(), -1);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Graph::Node& node = graph.nodes()[i];
    writer[static_cast<size_t>(node.output.index)] = static_cast<int>(i);
    for (ValueId value : node.inputs) {
      const int written_by = writer[static_cast<size_t>(value.index)];
      if (written_by >= 0) last[static_cast<size_t>(written_by)] = static_cast<int>(i);
    }
  }
  return last;
}

}  // namespace

std::vector<NodeRange> cut_where_one_value_lives(const Graph& graph, int64_t bytes) {
  const std::vector<int> last = last_readers(graph);
  const int end = first_loss(graph);
  std::vector<NodeRange> ranges;
  int begin = 0;
  for (int cut = 1; cut <= end; ++cut) {
    int alive = 0;  // in front of node `cut`
    for (int node = 0; node < cut; ++node) alive += last[static_cast<size_t>(node)] >= cut ? 1 : 0;
    if (cut < end && (alive != 1 || output_bytes(graph, {begin, cut}) < bytes)) continue;
    if (cut > begin) ranges.push_back({begin, cut});
    begin = cut;
  }
  return ranges;
}

std::vector<NodeRange> recompute_for_least_memory(const Graph& graph) {
  const int64_t total = output_bytes(graph, {0, first_loss(graph)});
  std::vector<NodeRange> best;
  int64_t least = std::numeric_limits<int64_t>::max();
  for (int64_t parts = 1; parts <= first_loss(graph); ++parts) {
    const std::vector<NodeRange> ranges = cut_where_one_value_lives(graph, total / parts);
    int64_t between = 0, largest = 0;
    for (const NodeRange& range : ranges) {
      between += output_bytes(graph, range.end - 1);
      largest = std::max(largest, output_bytes(graph, range));
    }
    if (between + largest >= least) continue;
    least = between + largest;
    best = ranges;
  }
  if (!best.empty()) best.pop_back();  // backward begins with it: it would be thrown away and computed at once
  std::erase_if(best, [](const NodeRange& range) { return range.end - range.begin == 1; });
  return best;
}

}  // namespace convoy
