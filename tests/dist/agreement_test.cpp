#include "dist/agreement.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "dist/thread_group.h"

namespace convoy {
namespace {

using FactsOf = std::function<std::vector<Fact>(int rank)>;

// The message that all ranks throw; "" when they agree.
std::string message(int ranks, const FactsOf& facts) {
  std::mutex mutex;
  std::multiset<std::string> messages;
  run_thread_group(ranks, [&](Communicator& it) {
    std::string text;
    try {
      agree(it, facts(it.rank()));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kRanksDisagree);
      text = error.what();
    }
    const std::lock_guard lock(mutex);
    messages.insert(text);
  });
  EXPECT_EQ(static_cast<int>(messages.count(*messages.begin())), ranks) << "all ranks say the same";
  return *messages.begin();
}

// All ranks but `odd` have learning rate 0.1.
std::vector<Fact> learning_rates(int rank, int odd) {
  const std::string rate = rank == odd ? "0.2" : "0.1";
  return {{"config", "name: a\nlearning_rate: " + rate + "\nbatch: 3\n"}, {"binary", "abc"}};
}

TEST(Agreement, EqualFactsPass) {
  for (int ranks : {1, 2, 5}) EXPECT_EQ(message(ranks, [](int) { return learning_rates(0, 9); }), "");
}

TEST(Agreement, OfTwoRanksTheSecondIsTheOddOne) {
  const std::string text = "config, line 2: 'learning_rate: 0.2' instead of 'learning_rate: 0.1'";
  EXPECT_EQ(message(2, [](int rank) { return learning_rates(rank, 1); }), "rank 1 differs from rank 0: " + text);
}

TEST(Agreement, TheOddRankIsFoundWhereverItIs) {
  for (int ranks : {3, 5}) {
    for (int odd = 0; odd < ranks; ++odd) {
      EXPECT_EQ(
          message(ranks, [odd](int rank) { return learning_rates(rank, odd); }),
          "rank " + std::to_string(odd) +
              " differs from the other ranks: config, line 2: 'learning_rate: 0.2' instead of 'learning_rate: 0.1'");
    }
  }
}

TEST(Agreement, SeveralOddRanksAndSeveralFacts) {
  const auto facts = [](int rank) -> std::vector<Fact> {
    return {{"binary", rank == 3 ? "def" : "abc"}, {"onednn", rank == 0 || rank == 3 ? "3.1" : "2.6"}};
  };
  EXPECT_EQ(message(5, facts),
            "rank 0 differs from the other ranks: onednn: '3.1' instead of '2.6'\n"
            "rank 3 differs from the other ranks: binary: 'def' instead of 'abc'; onednn: '3.1' instead of '2.6'");
}

TEST(Agreement, MissingFactsAndMissingLines) {
  const auto missing = [](int rank) -> std::vector<Fact> {
    if (rank == 1) return {{"cuda", "13"}};
    return {{"onednn", "2.6\nbuild 7"}};
  };
  EXPECT_EQ(message(3, missing),
            "rank 1 differs from the other ranks: onednn: absent instead of '2.6'; cuda: '13' instead of absent");
  const auto shorter = [](int rank) -> std::vector<Fact> { return {{"model", rank == 2 ? "conv" : "conv\nrelu"}}; };
  EXPECT_EQ(message(3, shorter), "rank 2 differs from the other ranks: model, line 2: nothing instead of 'relu'");
}

TEST(Agreement, LongLinesAndManyRanksAreCut) {
  const auto facts = [](int rank) -> std::vector<Fact> {
    return {{"model", std::string(100'000, rank < 11 ? 'a' : static_cast<char>('a' + rank))}};
  };
  const std::string text = message(20, [&](int rank) { return facts(rank); });
  EXPECT_LT(text.size(), 8 * 400U);
  EXPECT_TRUE(text.starts_with("rank 11 differs from the other ranks: model: 'lll"));
  EXPECT_TRUE(text.ends_with("\nand so does 1 more rank")) << text;
}

TEST(Agreement, AValueCannotPassForAnotherFact) {
  const auto facts = [](int rank) -> std::vector<Fact> {
    if (rank == 0) return {{"a", "1:b"}, {"c", ""}};
    return {{"a", "1"}, {"b", "c"}};
  };
  EXPECT_NE(message(2, facts), "");
}

}  // namespace
}  // namespace convoy
