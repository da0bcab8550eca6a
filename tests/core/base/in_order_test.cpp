#include "core/base/in_order.h"

#include <atomic>
#include <set>
#include <stdexcept>
#include <string>

#include "tests/core/base/testing.h"

namespace convoy {
namespace {

TEST(InOrder, EveryResultIsDeliveredOnceAndInOrder) {
  for (const int threads : {1, 2, 7}) {
    for (const int64_t n : {0, 1, 500}) {
      std::vector<int64_t> delivered;
      const auto work = [&](int64_t i, int thread) {
        EXPECT_LT(thread, threads);
        return std::make_unique<int64_t>(i * i);
      };
      in_order(n, threads, work, [&](int64_t i, std::unique_ptr<int64_t> result) {
        EXPECT_EQ(*result, i * i);
        delivered.push_back(i);
      });
      ASSERT_EQ(static_cast<int64_t>(delivered.size()), n);
      for (int64_t i = 0; i < n; ++i) EXPECT_EQ(delivered[static_cast<size_t>(i)], i);
    }
  }
}

TEST(InOrder, ThreadsDoNotRunFarAhead) {
  std::atomic<int64_t> begun = 0;
  in_order(
      200, 2, [&](int64_t, int) { return ++begun; }, [&](int64_t i, int64_t) { EXPECT_LE(begun, i + 8); });
}

TEST(InOrder, AnErrorComesAfterTheResultsBeforeIt) {
  for (const bool in_work : {false, true}) {
    int64_t delivered = 0;
    const auto fail_at = [](int64_t i) {
      if (i >= 50) throw std::runtime_error("at " + std::to_string(i));
    };
    try {
      in_order(
          100, 3,
          [&](int64_t i, int) {
            if (in_work) fail_at(i);
            return i;
          },
          [&](int64_t i, int64_t) {
            if (!in_work) fail_at(i);
            ++delivered;
          });
      ADD_FAILURE() << "no error";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "at 50");
    }
    EXPECT_EQ(delivered, 50);
  }
}

}  // namespace
}  // namespace convoy
