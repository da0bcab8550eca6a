// Errors among ranks: each is said once, and no rank waits for one that is gone.
//
//   run_on_all_ranks(session, [&] { experiment = load_experiment(file, overrides); });
//   run_on_all_ranks(*communicator, [&] { training_set = open(experiment.data); });
//
// An exception on any rank becomes a CollectiveError on all of them.  main() lets rank 0 print it, and every rank
// leaves with its exit code.  Any other exception is one rank's own: main() prints it with the rank and ends all
// others.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "dist/communicator.h"

namespace convoy {

// What an exception comes to: Error has its code, std::bad_alloc kOutOfMemory, all else is kInternal.
struct Failure {
  ExitCode code = ExitCode::kInternal;
  std::string text;
  friend bool operator==(const Failure&, const Failure&) = default;
};
// Of the exception that is being handled.
Failure current_failure();

// An error that every rank throws, at the same place and with the same message.
class CollectiveError : public Error {
 public:
  static constexpr int kEveryRank = -1;
  struct Report {
    int rank;
    std::string text;
  };

  CollectiveError(ExitCode code, const std::string& text) : CollectiveError(code, {{kEveryRank, text}}) {}
  CollectiveError(ExitCode code, std::vector<Report> reports);
  const std::vector<Report>& reports() const { return reports_; }

 private:
  std::vector<Report> reports_;
};

// Collective.  Runs `body` on each rank, then all ranks compare how it went.  The code of a CollectiveError is that of
// the lowest rank that failed.
// Requires: no rank waits in `body` for a rank whose `body` has thrown, so collectives are allowed only before the
// first thing that can fail on some ranks alone.  agree() is fine.
void run_on_all_ranks(RankGroup& group, const std::function<void()>& body);

}  // namespace convoy
