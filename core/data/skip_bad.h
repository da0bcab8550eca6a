// Samples that cannot be read are passed over: the next one that can takes their place.
//
// Which sample takes the place depends on the data alone, so ranks stay in step.  A bad sample is tried again in each
// epoch, and reported once.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/data/dataset.h"

namespace convoy {

struct BadSample {
  int64_t id = 0;
  int64_t replacement = 0;  // whose pixels and label were taken
  std::string reason;       // names the file
};

class SkipBad final : public Dataset {
 public:
  // Called by the thread that read the sample, one at a time.
  using Report = std::function<void(const BadSample&)>;
  // Samples found bad; for several sets of the same samples, in other shapes, that are to count together.
  struct Known {
    std::mutex mutex;
    std::set<int64_t> ids;  // guarded by mutex
  };

  // read() throws Error(kBadData) once more than `most` different samples were bad, or all are.
  SkipBad(std::unique_ptr<Dataset> all, int64_t most, Report report,
          std::shared_ptr<Known> known = std::make_shared<Known>());

  int64_t size() const override { return all_->size(); }
  Shape sample() const override { return all_->sample(); }
  int classes() const override { return all_->classes(); }
  int read(int64_t i, int64_t epoch, uint8_t* pixels) const override;
  void will_read(int64_t i) const override { all_->will_read(i); }
  std::string fingerprint() const override { return all_->fingerprint(); }

 private:
  void note(const std::vector<BadSample>& bad) const;
  [[noreturn]] void too_many(const std::vector<BadSample>& bad) const;

  const std::unique_ptr<Dataset> all_;
  const int64_t most_;
  const Report report_;
  const std::shared_ptr<Known> known_;
};

}  // namespace convoy
