#include "core/base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/core/base/testing.h"

namespace convoy {
namespace {

std::string names_in(const TempDirectory& directory) {
  std::string names;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path()))
    names += entry.path().filename().string() + " ";
  return names;
}

TEST(File, WrittenAtomicallyIsReadBack) {
  TempDirectory temp;
  PosixFileSystem files;
  write_file_atomic(files, temp / "a", "one");
  write_file_atomic(files, temp / "a", "second");
  EXPECT_EQ(read_file(temp / "a", 6), to_bytes("second"));
  EXPECT_EQ(names_in(temp), "a ");
}

TEST(File, OnItsWayEachHasItsOwnName) {
  TempDirectory temp;
  PosixFileSystem files;
  PendingFile one(files, temp / "a");
  {
    PendingFile other(files, temp / "a");
    write_file(files, one.temporary(), "one");
    write_file(files, other.temporary(), "other");
  }  // removes what it wrote
  one.finish();
  EXPECT_EQ(names_in(temp), "a ");
  EXPECT_EQ(get_file(temp / "a"), "one");
}

TEST(FileDeathTest, OnItsWayIsRemovedByAHandler) {
  TempDirectory temp;
  EXPECT_EXIT(
      {
        PosixFileSystem files;
        PendingFile pending(files, temp / "a");
        write_file(files, pending.temporary(), "half");
        remove_pending_files();
        ::_exit(names_in(temp).empty() ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(File, AFailureAtAnyCallLeavesOldOrNewContents) {
  for (const bool stay_down : {false, true}) {
    TempDirectory temp;
    PosixFileSystem real;
    for (int k = 0;; ++k) {
      write_file_atomic(real, temp / "a", "old");
      FailingFileSystem files(k, stay_down);
      bool failed = false;
      try {
        write_file_atomic(files, temp / "a", "new");
      } catch (const Error&) {
        failed = true;
      }
      const std::string found = get_file(temp / "a");
      EXPECT_TRUE(found == "new" || (failed && found == "old")) << k << ": " << found;
      if (!failed) {
        EXPECT_EQ(k, 6);  // create, write, sync, close, rename, sync_directory
        break;
      }
    }
  }
}

TEST(File, ReadingNamesPathAndReason) {
  TempDirectory temp;
  put_file(temp / "five", "12345");
  ASSERT_EQ(mkfifo((temp / "fifo").c_str(), 0600), 0);
  ASSERT_EQ(symlink((temp / "five").c_str(), (temp / "link").c_str()), 0);
  expect_error(ExitCode::kNoInput, {temp / "none", "No such file"}, [&] { read_file(temp / "none", 9); });
  expect_error(ExitCode::kNoInput, {"regular file"}, [&] { read_file(temp.path(), 9); });
  expect_error(ExitCode::kNoInput, {"regular file"}, [&] { read_file(temp / "fifo", 9); });
  expect_error(ExitCode::kBadData, {"at most 4", "found 5"}, [&] { read_file(temp / "five", 4); });
  expect_error(ExitCode::kNoInput, {"link"}, [&] { read_file(temp / "link", 9, Links::kRefuse); });
  EXPECT_EQ(read_file(temp / "link", 9), to_bytes("12345"));
  expect_error(ExitCode::kNoInput, {"regular file"}, [&] { read_beginning(temp.path(), 9); });
  expect_error(ExitCode::kNoInput, {"regular file"}, [&] { read_beginning(temp / "fifo", 9); });
  EXPECT_EQ(read_beginning(temp / "five", 2), to_bytes("12"));
  EXPECT_EQ(read_beginning(temp / "five", 9), to_bytes("12345"));
}

TEST(File, WritingNamesPathAndReason) {
  TempDirectory temp;
  PosixFileSystem files;
  put_file(temp / "file", "");
  expect_error(ExitCode::kCannotCreate, {temp / "no/file"}, [&] { files.create(temp / "no/file"); });
  expect_error(ExitCode::kCannotCreate, {temp / "file"}, [&] { files.make_directory(temp / "file"); });
  expect_error(ExitCode::kCannotCreate, {temp / "file: ", "Not a directory"},
               [&] { make_directories(files, temp / "file/below/it"); });
  expect_error(ExitCode::kIo, {"none", "rename"}, [&] { files.rename(temp / "none", temp / "other"); });
}

TEST(File, NoSpaceIsAnInputOutputError) {
  PosixFileSystem files;
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const auto file = files.create("/dev/full");
  expect_error(ExitCode::kIo, {"/dev/full", "No space"}, [&] { file->write(to_bytes("x")); });
}

TEST(File, NoPermissionHasItsOwnCode) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  TempDirectory temp;
  put_file(temp / "secret", "x");
  ASSERT_EQ(chmod((temp / "secret").c_str(), 0), 0);
  expect_error(ExitCode::kPermission, {"secret", "Permission"}, [&] { read_file(temp / "secret", 9); });
  std::filesystem::create_directory(temp / "closed");
  ASSERT_EQ(chmod((temp / "closed").c_str(), 0), 0);
  expect_error(ExitCode::kPermission, {"closed/x: cannot create: Permission"},
               [&] { require_replaceable(temp / "closed/x"); });
}

TEST(File, TreesAreMadeAndRemovedButLinksAreNotFollowed) {
  TempDirectory temp;
  PosixFileSystem files;
  make_directories(files, temp / "a/b/c");
  make_directories(files, temp / "a/b/c");
  put_file(temp / "a/b/x", "x");
  put_file(temp / "outside", "keep");
  make_directories(files, temp / "kept");
  put_file(temp / "kept/y", "keep");
  ASSERT_EQ(symlink((temp / "kept").c_str(), (temp / "a/link").c_str()), 0);
  remove_tree(files, temp / "a");
  remove_tree(files, temp / "a");
  EXPECT_FALSE(std::filesystem::exists(temp / "a"));
  EXPECT_EQ(get_file(temp / "kept/y"), "keep");
}

TEST(InputFile, ReadsAtAnyPlace) {
  const TempDirectory temp;
  put_file(temp / "f", "abcdef");
  const InputFile file(temp / "f");
  EXPECT_EQ(file.size(), 6);
  std::vector<std::byte> bytes(2);
  for (const int64_t offset : {4, 0}) {
    file.read_at(offset, bytes);
    EXPECT_EQ(bytes, to_bytes(offset == 4 ? "ef" : "ab"));
  }
  expect_error(ExitCode::kBadData, {"f: expected 1 more bytes at byte 6"}, [&] { file.read_at(5, bytes); });
  expect_error(ExitCode::kNoInput, {"absent"}, [&] { InputFile(temp / "absent"); });
}

}  // namespace
}  // namespace convoy
