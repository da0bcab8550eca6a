// Labels as manifests and shards write them, to numbers.
//
// All are numbers, 0 to 999999: classes are 0 to the largest and named by their numbers.  Or all are names: classes are
// these, sorted byte by byte.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace convoy {

class LabelTable {
 public:
  // `where` is for messages.  Throws Error(kBadData) for an empty label, a number beyond the limit, a name among
  // numbers or a number among names.
  void add(const std::string& label, const std::string& where);

  std::vector<std::string> class_names() const;
  std::vector<int> labels() const;  // in the order of add()

 private:
  bool numbers_ = false;              // what the first label was
  int largest_ = 0;                   // of numbers
  std::map<std::string, int> names_;  // to the order in which they were met
  std::vector<int> labels_;           // numbers; or of names, that order
};

}  // namespace convoy
