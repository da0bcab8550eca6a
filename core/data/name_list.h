// Many texts in one block of memory: a million file names would be a million small allocations.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

class NameList {
 public:
  void add(std::string_view name) {
    text_ += name;
    ends_.push_back(text_.size());
  }
  int64_t size() const { return static_cast<int64_t>(ends_.size()); }

  // Valid until the next add().  Requires: 0 <= i < size().
  std::string_view operator[](int64_t i) const {
    const auto index = static_cast<size_t>(i);
    const size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(text_).substr(begin, ends_[index] - begin);
  }

 private:
  std::string text_;
  std::vector<size_t> ends_;
};

}  // namespace convoy
