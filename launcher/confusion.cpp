#include "launcher/confusion.h"

#include <cstdio>
#include <cstring>
#include <numeric>

#include "core/base/error.h"
#include "launcher/prediction_text.h"

namespace convoy {
namespace {

struct Entry {  // that is not 0
  int64_t index, images;
};

}  // namespace

int64_t Confusion::images(int of) const {
  const auto first = images_.begin() + int64_t{of} * classes_;
  return std::accumulate(first, first + classes_, int64_t{0});
}

std::string Confusion::bytes() const {
  std::string bytes;
  for (size_t i = 0; i < images_.size(); ++i) {
    const Entry entry{static_cast<int64_t>(i), images_[i]};
    if (entry.images != 0) bytes.append(reinterpret_cast<const char*>(&entry), sizeof entry);
  }
  return bytes;
}

void Confusion::add(const std::string& bytes) {
  CHECK(bytes.size() % sizeof(Entry) == 0);
  for (size_t at = 0; at < bytes.size(); at += sizeof(Entry)) {
    Entry entry{};
    std::memcpy(&entry, bytes.data() + at, sizeof entry);
    images_.at(static_cast<size_t>(entry.index)) += entry.images;
  }
}

std::string Confusion::csv(const std::vector<std::string>& names) const {
  std::string text = "class,images,correct,accuracy";
  for (int as = 0; as < classes_; ++as) text += "," + csv_field(class_name(names, as));
  text += "\n";
  for (int of = 0; of < classes_; ++of) {
    const int64_t all = images(of);
    char accuracy[32] = "";  // of no images there is none
    if (all > 0) {
      std::snprintf(accuracy, sizeof accuracy, "%.6f", static_cast<double>(correct(of)) / static_cast<double>(all));
    }
    text += csv_field(class_name(names, of)) + "," + std::to_string(all) + "," + std::to_string(correct(of)) + "," +
            accuracy;
    for (int as = 0; as < classes_; ++as) text += "," + std::to_string(images(of, as));
    text += "\n";
  }
  return text;
}

}  // namespace convoy
