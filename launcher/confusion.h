// Which classes are taken for which: images by their class and by the class that the network gave them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace convoy {

class Confusion {
 public:
  static constexpr int kMostClasses = 4096;  // a matrix of 128 MiB

  // Requires: classes in [1, kMostClasses].
  explicit Confusion(int classes)
      : classes_(classes), images_(static_cast<size_t>(classes) * static_cast<size_t>(classes)) {}

  int classes() const { return classes_; }
  void add(int of, int as, int64_t images = 1) { images_[index(of, as)] += images; }
  int64_t images(int of, int as) const { return images_[index(of, as)]; }
  int64_t images(int of) const;  // of a class
  int64_t correct(int of) const { return images(of, of); }

  // What there is, for another rank to add.
  std::string bytes() const;
  void add(const std::string& bytes);

  // A line for each class: its name, its images, how many are correct and which share, and what they were taken for.
  std::string csv(const std::vector<std::string>& names) const;

 private:
  size_t index(int of, int as) const {
    return static_cast<size_t>(of) * static_cast<size_t>(classes_) + static_cast<size_t>(as);
  }

  int classes_;
  std::vector<int64_t> images_;  // [of][as]
};

}  // namespace convoy
