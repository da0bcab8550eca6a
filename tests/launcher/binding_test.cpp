#include "launcher/binding.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "core/base/threads.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

// Each test changes the mask of a thread of its own.
class StayNearTest : public testing::Test {
 protected:
  std::string stay(const std::string& list, std::string* mask = nullptr) {
    std::filesystem::create_directories(devices_ / "0000:1b:00.0");
    put_file(devices_ / "0000:1b:00.0/local_cpulist", list);
    std::string text;
    std::thread([&] {
      text = stay_near("0000:1b:00.0", devices_.path());
      if (mask != nullptr) *mask = processor_mask();
    }).join();
    return text;
  }

  static std::string number(size_t processor) { return std::to_string(processor); }

  const TempDirectory devices_;
  const std::string mine_ = processor_mask();
  const size_t first_ = mine_.find('1');
};

TEST_F(StayNearTest, KeepsToTheProcessorsOfTheList) {
  if (std::ranges::count(mine_, '1') < 2) GTEST_SKIP() << "there is one processor only";
  std::string mask;
  EXPECT_EQ(stay(number(first_) + "," + number(CPU_SETSIZE - 1) + "\n", &mask),
            "kept to the 1 of " + number(static_cast<size_t>(std::ranges::count(mine_, '1'))) +
                " processors that are near GPU 0000:1b:00.0");
  EXPECT_EQ(std::ranges::count(mask, '1'), 1);
  EXPECT_EQ(mask.find('1'), first_);
}

TEST_F(StayNearTest, ChangesNothingWhereAllOrNoneAreNearOrNothingIsKnown) {
  std::string mask;
  for (const std::string list : {"0-1023", "", "nonsense", "5-2", "1023"}) {
    if (list == "1023" && mine_.back() == '1') continue;
    EXPECT_EQ(stay(list, &mask), "") << list;
    EXPECT_EQ(mask, mine_) << list;
  }
  EXPECT_EQ(stay_near("", devices_.path()), "");
  EXPECT_EQ(stay_near("0000:ff:00.0", devices_.path()), "");
}

}  // namespace
}  // namespace convoy
