#include "core/data/packed_file.h"

#include <cstring>

#include "core/base/hash.h"
#include "core/data/packed_writer.h"
#include "tests/core/base/testing.h"
#include "tests/core/data/testing.h"

namespace convoy {
namespace {

using Strings = std::vector<std::string>;

class PackedFileTest : public testing::Test {
 protected:
  void write(FileSystem& files) {
    PackedWriter writer(files, path_, {"cat", "dog"});
    writer.add("a/1.jpg", 1, to_bytes("first"));
    writer.add("a/2.jpg", 0, {});
    writer.add("b/3.jpg", 1, to_bytes("the third"));
    writer.finish();
    EXPECT_EQ(writer.bytes(), static_cast<int64_t>(std::filesystem::file_size(path_)));
  }
  std::string written() {
    PosixFileSystem files;
    write(files);
    return get_file(path_);
  }
  void expect_bad(const Strings& parts, const std::string& contents) {
    put_file(path_, contents);
    expect_error(ExitCode::kBadData, parts, [&] { PackedFile file(path_); });
  }
  // As a careful attacker changes it: `size` bytes at `offset` from the start of the records, and the checksum fits.
  std::string changed(size_t offset, uint64_t value, size_t size) {
    std::string contents = written();
    packed::Footer footer;
    const size_t end = contents.size() - sizeof footer;
    std::memcpy(&footer, contents.data() + end, sizeof footer);
    std::memcpy(contents.data() + footer.index + offset, &value, size);
    footer.checksum =
        hash64(std::string_view(contents).substr(footer.index, end - footer.index + packed::kSealedFooter));
    std::memcpy(contents.data() + end + packed::kSealedFooter, &footer.checksum, 8);
    return contents;
  }
  TempDirectory temp_;
  const std::string path_ = temp_ / "p";
};

TEST_F(PackedFileTest, HoldsWhatWasWritten) {
  written();
  EXPECT_TRUE(is_packed_file(path_));
  EXPECT_FALSE(is_packed_file(temp_ / "none"));
  const PackedFile file(path_);
  EXPECT_EQ(names_and_labels(file), (Strings{"a/1.jpg 1", "a/2.jpg 0", "b/3.jpg 1"}));
  EXPECT_EQ(file.class_names(), (Strings{"cat", "dog"}));
  std::vector<std::byte> scratch;
  EXPECT_EQ(text_of(file.file(0, scratch)), "first");
  EXPECT_EQ(text_of(file.file(1, scratch)), "");
  EXPECT_EQ(text_of(file.file(2, scratch)), "the third");
  for (int64_t i = 0; i < 3; ++i) file.verify(i), file.will_read(i);
}

TEST_F(PackedFileTest, AnyTruncationIsRefused) {
  const std::string whole = written();
  for (size_t n = 0; n < whole.size(); ++n) expect_bad({path_}, whole.substr(0, n));
  expect_bad({path_, "cut off"}, whole + "x");
}

TEST_F(PackedFileTest, AnyChangedByteIsFound) {
  const std::string whole = written();
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    put_file(path_, damaged);
    expect_error(ExitCode::kBadData, {path_}, [&] {
      const PackedFile file(path_);
      for (int64_t image = 0; image < file.size(); ++image) file.verify(image);
    });
  }
}

TEST_F(PackedFileTest, DamageOfAnImageNamesIt) {
  std::string damaged = written();
  damaged[16 + 5] = 'T';
  put_file(path_, damaged);
  const PackedFile file(path_);
  file.verify(0);
  expect_error(ExitCode::kBadData, {path_, "b/3.jpg", "checksum"}, [&] { file.verify(2); });
}

// Records are 32 bytes: offset, checksum, name, size and label.
TEST_F(PackedFileTest, AnIndexThatLiesIsRefused) {
  const uint64_t huge = ~uint64_t{0};
  expect_bad({"record 0"}, changed(0, 17, 8));       // offset: a hole
  expect_bad({"record 1"}, changed(32, huge, 8));    // offset beyond the file
  expect_bad({"record 1"}, changed(32 + 16, 3, 8));  // name inside another
  expect_bad({"record 2"}, changed(64 + 16, huge, 8));
  expect_bad({"record 0"}, changed(24, huge, 4));  // size beyond the images
  expect_bad({"record 1"}, changed(24, 4, 4));     // size: a hole before the next
  expect_bad({"does not fit its images"}, changed(64 + 24, 8, 4));
  expect_bad({"record 0"}, changed(28, 2, 4));            // label
  expect_bad({"damaged"}, changed(96 + 3, 0, 1));         // one name more in the text
  expect_bad({"damaged"}, changed(96 + 24 + 7, 'x', 1));  // the last class has no end
  const size_t footer = 96 + 24 + 8;
  for (const size_t field : {0, 8, 16, 24})
    for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, huge, huge / 32 + 4})
      expect_bad({"damaged"}, changed(footer + field, value, 8));
}

TEST_F(PackedFileTest, OtherVersionsAreRefused) {
  std::string contents = written();
  contents[8] = 2;
  expect_bad({"version 1", "found version 2"}, contents);
  expect_bad({"found another"}, std::string(100, 'x'));
}

TEST_F(PackedFileTest, FingerprintIsOfContents) {
  written();
  const std::string before = PackedFile(path_).fingerprint();
  std::filesystem::rename(path_, temp_ / "q");
  EXPECT_EQ(PackedFile(temp_ / "q").fingerprint(), before);
  PosixFileSystem files;
  PackedWriter writer(files, path_, {"cat", "dog"});
  writer.add("a/1.jpg", 1, to_bytes("fIrst"));
  writer.add("a/2.jpg", 0, {});
  writer.add("b/3.jpg", 1, to_bytes("the third"));
  writer.finish();
  EXPECT_NE(PackedFile(path_).fingerprint(), before);
}

TEST_F(PackedFileTest, AFailureAtAnyCallLeavesTheOldFileOrTheNew) {
  for (const bool stay_down : {false, true}) {
    for (int k = 0;; ++k) {
      put_file(path_, "old");
      FailingFileSystem files(k, stay_down);
      bool failed = false;
      try {
        write(files);
      } catch (const Error&) {
        failed = true;
      }
      EXPECT_TRUE(get_file(path_) == "old" ? failed : PackedFile(path_).size() == 3) << k;
      EXPECT_TRUE(stay_down || std::distance(std::filesystem::directory_iterator(temp_.path()), {}) == 1) << k;
      if (failed) continue;
      EXPECT_EQ(k, 10);  // create, header, 3 images, index, sync, close, rename, sync_directory
      break;
    }
  }
}

TEST_F(PackedFileTest, WhatCannotBeWrittenIsRefused) {
  PosixFileSystem files;
  PackedWriter writer(files, path_, {"cat"});
  expect_error(ExitCode::kBadData, {path_, "without NUL"}, [&] { writer.add(std::string_view("a\0b", 3), 0, {}); });
  EXPECT_THROW(writer.add("a", 1, {}), InternalError);
  expect_error(ExitCode::kBadData, {path_, "images to write"}, [&] { writer.finish(); });
  expect_error(ExitCode::kBadData, {"NUL"}, [&] { PackedWriter(files, path_, {std::string(1, '\0')}); });
}

}  // namespace
}  // namespace convoy
