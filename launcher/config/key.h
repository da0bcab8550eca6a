// What describe.h and describe_data.h say of a setting.
#pragma once

#include <string_view>

#include "launcher/config/values.h"

namespace convoy {

struct Key {
  std::string_view name = {};
  std::string_view doc = {};
  bool required = false;           // where it applies
  Range range = {};                // of a number, or of each number of a list
  std::string_view pattern = {};   // regular expression of the whole text
  bool is_path = false;            // of an input: resolve_path
  std::string_view only_for = {};  // where it applies, for messages: "type: sgd"
  bool applies = true;             // a key given where it does not apply is an error, not silently without effect
};

}  // namespace convoy
