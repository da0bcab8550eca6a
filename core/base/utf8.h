// UTF-8 (RFC 3629) in text from outside.
#pragma once

#include <cstddef>
#include <string_view>

namespace convoy {

// Bytes of the character that `text` begins with, 1 to 4; 0 when it begins with none: overlong forms, surrogates and
// code points above 10FFFF are none.
size_t utf8_length(std::string_view text);

}  // namespace convoy
