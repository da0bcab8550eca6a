#include "core/base/mapped_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <thread>

#include "tests/core/base/testing.h"

namespace convoy {
namespace {

constexpr int64_t kPage = 65536;  // at least one, whatever the machine

std::string text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

int read_all(const MappedFile& file) {
  int sum = 0;
  for (const std::byte byte : file.bytes()) sum += std::to_integer<int>(byte);
  return sum;
}

TEST(MappedFile, HoldsTheBytesAndMoves) {
  TempDirectory temp;
  put_file(temp / "a", "abc");
  put_file(temp / "b", "");
  MappedFile a(temp / "a");
  const std::byte* address = a.bytes().data();
  MappedFile moved = std::move(a);
  EXPECT_EQ(moved.bytes().data(), address);
  EXPECT_EQ(text(moved), "abc");
  EXPECT_EQ(moved.path(), temp / "a");
  moved.will_read(1, 2);
  moved = MappedFile(temp / "b");
  EXPECT_TRUE(moved.bytes().empty());
  moved.will_read(0, 0);
}

TEST(MappedFile, NamesWhatIsNoFile) {
  TempDirectory temp;
  expect_error(ExitCode::kNoInput, {temp / "none", "No such file"}, [&] { MappedFile(temp / "none"); });
  expect_error(ExitCode::kNoInput, {"regular file"}, [&] { MappedFile(temp.path()); });
}

TEST(MappedFile, ManyAreMappedAndUnmappedByThreads) {
  TempDirectory temp;
  put_file(temp / "a", "abc");
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const MappedFile one(temp / "a"), two(temp / "a");
        wrong += text(one) != "abc" || text(two) != "abc";
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

class MappedFileDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  void put_pages(const std::string& name) { put_file(temp_ / name, std::string(4 * kPage, 'x')); }
  void truncate_to_a_page(const std::string& name) { ASSERT_EQ(truncate((temp_ / name).c_str(), kPage), 0); }
  TempDirectory temp_;
};

TEST_F(MappedFileDeathTest, TruncatedFileEndsWith65AndItsName) {
  put_pages("a");
  put_pages("b");
  put_pages("c\n");
  const auto read_truncated = [&](const std::string& name) {
    const MappedFile a(temp_ / "a"), b(temp_ / "b"), c(temp_ / "c\n");
    std::optional<MappedFile> gone(temp_ / "a");
    gone.reset();
    truncate_to_a_page(name);
    std::_Exit(read_all(a) + read_all(b) + read_all(c) == 0);
  };
  EXPECT_EXIT(read_truncated("b"), testing::ExitedWithCode(65),
              "^error: .*/b: was truncated, or cannot be read, while mapped\n$");
  EXPECT_EXIT(read_truncated("c\n"), testing::ExitedWithCode(65), "/c\\?: was truncated");
}

TEST_F(MappedFileDeathTest, OtherFaultsGoToWhoeverHandledThemBefore) {
  put_pages("a");
  put_pages("b");
  EXPECT_EXIT(
      {
        signal(SIGBUS, SIG_DFL);  // a sanitizer has its own
        const MappedFile file(temp_ / "a");
        raise(SIGBUS);
      },
      testing::KilledBySignal(SIGBUS), "");
  EXPECT_EXIT(
      {
        signal(SIGBUS, [](int) { _exit(7); });
        const MappedFile file(temp_ / "a");
        const int fd = open((temp_ / "b").c_str(), O_RDONLY);
        const void* foreign = mmap(nullptr, 4 * kPage, PROT_READ, MAP_SHARED, fd, 0);
        truncate_to_a_page("b");
        _exit(static_cast<const volatile char*>(foreign)[2 * kPage]);
      },
      testing::ExitedWithCode(7), "");
  EXPECT_EXIT(
      {
        signal(SIGBUS, SIG_IGN);
        const MappedFile file(temp_ / "a");
        raise(SIGBUS);
        _exit(8);
      },
      testing::ExitedWithCode(8), "");
}

}  // namespace
}  // namespace convoy
