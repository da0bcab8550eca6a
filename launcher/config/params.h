// Typed reading of one layer's parameters.  The model builder asks for each parameter by name, then calls done(), which
// refuses any key that was never asked for.  Errors carry file:line:column and the full path:
// "net.yaml:7:15: model.layers[3].conv2d.filter: unknown key, did you mean 'filters'?"
//
//   Params params(layer);
//   const int filters = params.integer("filters");
//   const auto kernel = params.pair("kernel");
//   const bool bias = params.boolean_or("bias", true);
//   params.done();
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "launcher/config/experiment.h"
#include "launcher/config/values.h"

namespace convoy {

class Params {
 public:
  using Pair = std::array<int, 2>;   // [vertical, horizontal]
  using Sides = std::array<int, 4>;  // [top, bottom, left, right]

  // Borrows `layer`, which must outlive this.
  explicit Params(const LayerConfig& layer) : layer_(layer) {}

  // Without a default, the parameter is required.
  int integer(std::string_view key, const Range& range = at_least(1));
  int integer_or(std::string_view key, int otherwise, const Range& range = at_least(1));
  double number(std::string_view key, const Range& range);
  double number_or(std::string_view key, double otherwise, const Range& range);
  bool boolean_or(std::string_view key, bool otherwise);
  std::string text(std::string_view key);
  std::string text_or(std::string_view key, std::string_view otherwise);
  std::vector<std::string> texts(std::string_view key);  // a list
  std::string choice_or(std::string_view key, std::string_view otherwise, std::span<const std::string_view> choices);

  // One of `names`, or {name: number} with one of `with_number`: `zeros`, `{normal: 0.02}`.
  struct NamedNumber {
    std::string name;
    std::optional<double> number;
  };
  NamedNumber named_number_or(std::string_view key, std::string_view otherwise, std::span<const std::string_view> names,
                              std::span<const std::string_view> with_number);
  // As it is written; null when it is absent.
  const Node* node(std::string_view key) { return find(key); }

  // `3` for both directions or `[3, 5]`.
  Pair pair(std::string_view key, const Range& range = at_least(1));
  Pair pair_or(std::string_view key, Pair otherwise, const Range& range = at_least(1));
  // A pair or one of `words`: padding: 1, [1, 2] or same.
  std::variant<Pair, std::string> pair_or_word(std::string_view key, Pair otherwise, const Range& range,
                                               std::span<const std::string_view> words);

  // `3` for all sides, `[vertical, horizontal]` or `[top, bottom, left, right]`.
  Sides sides(std::string_view key, const Range& range);

  std::vector<LayerConfig> layers(std::string_view key);                 // required, may be []
  std::vector<LayerConfig> layers_or(std::string_view key);              // absent: []
  std::vector<std::vector<LayerConfig>> branches(std::string_view key);  // list of lists of layers

  bool has(std::string_view key) { return find(key) != nullptr; }

  void done() const;

  // Throws Error(kConfig) at the parameter, or at the layer when the parameter was not given.
  [[noreturn]] void fail(std::string_view key, std::string_view message) const;
  [[noreturn]] void fail(std::string_view message) const;  // about the layer as a whole

 private:
  const Node* find(std::string_view key);     // also remembers that it was asked for
  const Node& require(std::string_view key);  // throws when missing
  std::string path(std::string_view key) const { return child_path(layer_.path, key); }
  Pair to_pair(const Node& node, std::string_view key, const Range& range) const;

  const LayerConfig& layer_;
  std::vector<std::string_view> asked_;
};

}  // namespace convoy
