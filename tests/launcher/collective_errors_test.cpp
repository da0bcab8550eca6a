#include "launcher/collective_errors.h"

#include <gtest/gtest.h>

#include <mutex>
#include <new>
#include <stdexcept>

#include "dist/thread_group.h"

namespace convoy {
namespace {

struct Outcome {
  int code = 0;  // of the CollectiveError; 0: there was none
  std::string text;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// How `body` ends on `ranks` ranks, which is the same on each.
Outcome outcome(int ranks, const std::function<void(int rank)>& body) {
  std::mutex mutex;
  std::vector<Outcome> all;
  run_thread_group(ranks, [&](Communicator& it) {
    Outcome mine;
    try {
      run_on_all_ranks(it, [&] { body(it.rank()); });
    } catch (const CollectiveError& error) {
      mine = {static_cast<int>(error.code()), error.what()};
    }
    const std::lock_guard lock(mutex);
    all.push_back(mine);
  });
  for (const Outcome& it : all) EXPECT_EQ(it, all.front());
  return all.front();
}

TEST(CollectiveErrors, NothingHappensWhereNothingFails) {
  for (int ranks : {1, 3}) EXPECT_EQ(outcome(ranks, [](int) {}), Outcome());
}

TEST(CollectiveErrors, WhatAllRanksSayIsSaidOnce) {
  for (int ranks : {1, 3}) {
    EXPECT_EQ(outcome(ranks, [](int) { throw Error(ExitCode::kConfig, "x.yaml:1:2: bad"); }),
              (Outcome{78, "x.yaml:1:2: bad"}));
  }
}

TEST(CollectiveErrors, OneRanksErrorNamesIt) {
  EXPECT_EQ(outcome(3,
                    [](int rank) {
                      if (rank == 1) throw Error(ExitCode::kNoInput, "a.gz: missing");
                    }),
            (Outcome{66, "[r1] a.gz: missing"}));
}

TEST(CollectiveErrors, DifferentErrorsAreSaidOnceEach) {
  const auto body = [](int rank) {
    if (rank == 2) throw Error(ExitCode::kBadData, "b.gz: cut");
    if (rank > 0) throw Error(ExitCode::kNoInput, "a.gz: missing\nline two");
  };
  EXPECT_EQ(outcome(5, body), (Outcome{66, "[r1] a.gz: missing\nline two (and 2 other ranks)\n[r2] b.gz: cut"}));
}

TEST(CollectiveErrors, EveryExceptionHasACode) {
  EXPECT_EQ(outcome(2, [](int) { throw std::bad_alloc(); }), (Outcome{71, "out of memory"}));
  EXPECT_EQ(outcome(2, [](int) { throw std::runtime_error("odd"); }), (Outcome{70, "internal error: odd"}));
  EXPECT_EQ(outcome(2, [](int) { throw 1; }), (Outcome{70, "internal error"}));
  EXPECT_EQ(outcome(2, [](int) { CHECK(false, "why"); }).code, 70);
}

TEST(CollectiveErrors, CollectivesThatEndOnEveryRankMayThrow) {
  run_thread_group(3, [](Communicator& it) {
    EXPECT_THROW(run_on_all_ranks(it,
                                  [&] {
                                    it.barrier();
                                    throw CollectiveError(ExitCode::kRanksDisagree, "no two alike");
                                  }),
                 CollectiveError);
    it.barrier();  // and the communicator still works
  });
}

}  // namespace
}  // namespace convoy
