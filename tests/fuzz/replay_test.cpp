// Every kept file once through the target, without libFuzzer: what was found stays mended.
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "tests/fuzz/allocation.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace convoy {
namespace {

TEST(Fuzz, KeptFilesEndInAnErrorOrAreRead) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(CONVOY_FUZZ_CORPUS) + kFuzzTarget.name)) {
    std::cout << entry.path().filename() << std::endl;  // a crash ends the program: the last one is it
    const std::vector<std::byte> file = read_file(entry.path(), int64_t{1} << 30);
    EXPECT_NO_THROW(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(file.data()), file.size()));
    ++files;
  }
  EXPECT_GT(files, 0);
}

TEST(Fuzz, AllocationsAreCounted) {
  const int64_t before = allocated_bytes();
  {
    const std::vector<char> chars(500);
    EXPECT_GE(allocated_bytes(), before + 500);
    EXPECT_LT(allocated_bytes(), before + 600);
  }
  EXPECT_EQ(allocated_bytes(), before);
}

TEST(FuzzDeathTest, AnAllocationAboveTheLimitIsSeen) {
  EXPECT_DEATH(
      {
        const AllocationLimit limit(1000);
        const std::vector<char> some(400);
        const std::vector<char> more(800);
      },
      "ALLOCATION: 800 bytes more than the");
}

}  // namespace
}  // namespace convoy
