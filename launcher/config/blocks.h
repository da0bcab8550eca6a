// Templates of a model file: a list of layers with parameters of its own.
//
//   blocks:
//     conv_bn:
//       parameters: [name, filters, stride: 1]      # required without a default
//       layers:
//         - conv2d: {filters: $filters, kernel: 3, stride: $stride, padding: 1, name: $name.conv}
//         - batch_norm: {name: $name.bn}
//   layers:
//     - conv_bn: {name: stem, filters: 16}
//
// `$filters` alone stands for any value, a list of layers too; within a text, `$name.conv` or `$(name)_conv`, for one
// word or number.  They are replaced when the experiment is loaded: nothing behind that knows of blocks.
#pragma once

#include <string>

#include "launcher/config/yaml.h"

namespace convoy {

// Replaces the blocks that `model` (a map with layers, top, blocks) uses in `layers` and `top` by their layers, and
// removes its key `blocks`.  `path` is that of `model`, for messages.  Bounded in time and memory, whatever the file
// says: a model has at most 9000 values with its blocks, and blocks within blocks are at most 32 deep.
// Throws Error(kConfig).
void expand_blocks(Node& model, const std::string& path);

// Replaces `$i` and `$(i)` in all values below `node`, but not in a `repeat` within, which counts by itself.
void substitute_counter(Node& node, int i);

// Of a tree: itself and everything in it.
int count_values(const Node& node);

}  // namespace convoy
