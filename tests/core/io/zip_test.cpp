#include "core/io/zip.h"

#include <gtest/gtest.h>

#include "tests/core/base/testing.h"
#include "tests/core/io/testing.h"

namespace convoy {
namespace {

struct File {
  std::string name, data;
  friend bool operator==(const File&, const File&) = default;
};

// All of an archive that is a file named f.zip.
std::vector<File> read_all(const std::string& archive) {
  static const TempDirectory temp;  // one for thousands of archives
  put_file(temp / "f.zip", archive);
  const ZipArchive zip(temp / "f.zip");
  std::vector<File> files;
  for (const ZipMember& member : zip.members()) {
    const std::vector<uint8_t> data = zip.read(member.name), beginning = zip.read_beginning(member.name, 3);
    files.push_back({member.name, {data.begin(), data.end()}});
    EXPECT_EQ(std::string(beginning.begin(), beginning.end()), files.back().data.substr(0, 3));
  }
  return files;
}

void expect_bad(const std::vector<std::string>& parts, const std::string& archive) {
  std::vector<std::string> with_name = parts;
  with_name.emplace_back("f.zip: ");
  expect_error(ExitCode::kBadData, with_name, [&] { read_all(archive); });
}

// Python 3.11's zipfile, in base64: members a.txt (stored), d/b.bin and empty (deflated).  In this order: with a
// comment; open(…, force_zip64=True); written to a file that cannot seek; with zipfile.ZIP_FILECOUNT_LIMIT = 1; and
// with zipfile.ZIP64_LIMIT = 10 too.
const char* const kArchives[] = {
    "UEsDBBQAAAAAAAAAIQCGphA2BQAAAAUAAAAFAAAAYS50eHRoZWxsb1BLAwQUAAAACAAAACEA8/D1JAoAAABYAgAABwAAAGQvYi5iaW5LTEoc"
    "haOQ6hAAUEsDBBQAAAAIAAAAIQAAAAAAAgAAAAAAAAAFAAAAZW1wdHkDAFBLAQIUAxQAAAAAAAAAIQCGphA2BQAAAAUAAAAFAAAAAAAAAAAA"
    "AACAAQAAAABhLnR4dFBLAQIUAxQAAAAIAAAAIQDz8PUkCgAAAFgCAAAHAAAAAAAAAAAAAACAASgAAABkL2IuYmluUEsBAhQDFAAAAAgAAAAh"
    "AAAAAAACAAAAAAAAAAUAAAAAAAAAAAAAAIABVwAAAGVtcHR5UEsFBgAAAAADAAMAmwAAAHwAAAAJAGEgY29tbWVudA==",
    "UEsDBC0AAAAAAAAAIQCGphA2//////////8FABQAYS50eHQBABAABQAAAAAAAAAFAAAAAAAAAGhlbGxvUEsDBC0AAAAIAAAAIQDz8PUk////"
    "//////8HABQAZC9iLmJpbgEAEABYAgAAAAAAAAoAAAAAAAAAS0xKHIWjkOoQAFBLAwQtAAAACAAAACEAAAAAAP//////////BQAUAGVtcHR5"
    "AQAQAAAAAAAAAAAAAgAAAAAAAAADAFBLAQItAy0AAAAAAAAAIQCGphA2BQAAAAUAAAAFAAAAAAAAAAAAAACAAQAAAABhLnR4dFBLAQItAy0A"
    "AAAIAAAAIQDz8PUkCgAAAFgCAAAHAAAAAAAAAAAAAACAATwAAABkL2IuYmluUEsBAi0DLQAAAAgAAAAhAAAAAAACAAAAAAAAAAUAAAAAAAAA"
    "AAAAAIABfwAAAGVtcHR5UEsFBgAAAAADAAMAmwAAALgAAAAAAA==",
    "UEsDBBQACAAAAIqUfF0AAAAAAAAAAAAAAAAFAAAAYS50eHRoZWxsb1BLBwiGphA2BQAAAAUAAABQSwMEFAAIAAgAipR8XQAAAAAAAAAAAAAA"
    "AAcAAABkL2IuYmluS0xKHIWjkOoQAFBLBwjz8PUkCgAAAFgCAABQSwMEFAAIAAgAipR8XQAAAAAAAAAAAAAAAAUAAABlbXB0eQMAUEsHCAAA"
    "AAACAAAAAAAAAFBLAQIUAxQACAAAAIqUfF2GphA2BQAAAAUAAAAFAAAAAAAAAAAAAACAAQAAAABhLnR4dFBLAQIUAxQACAAIAIqUfF3z8PUk"
    "CgAAAFgCAAAHAAAAAAAAAAAAAACAATgAAABkL2IuYmluUEsBAhQDFAAIAAgAipR8XQAAAAACAAAAAAAAAAUAAAAAAAAAAAAAAIABdwAAAGVt"
    "cHR5UEsFBgAAAAADAAMAmwAAAKwAAAAAAA==",
    "UEsDBBQAAAAAAAAAIQCGphA2BQAAAAUAAAAFAAAAYS50eHRoZWxsb1BLAwQUAAAACAAAACEA8/D1JAoAAABYAgAABwAAAGQvYi5iaW5LTEoc"
    "haOQ6hAAUEsDBBQAAAAIAAAAIQAAAAAAAgAAAAAAAAAFAAAAZW1wdHkDAFBLAQIUAxQAAAAAAAAAIQCGphA2BQAAAAUAAAAFAAAAAAAAAAAA"
    "AACAAQAAAABhLnR4dFBLAQIUAxQAAAAIAAAAIQDz8PUkCgAAAFgCAAAHAAAAAAAAAAAAAACAASgAAABkL2IuYmluUEsBAhQDFAAAAAgAAAAh"
    "AAAAAAACAAAAAAAAAAUAAAAAAAAAAAAAAIABVwAAAGVtcHR5UEsGBiwAAAAAAAAALQAtAAAAAAAAAAAAAwAAAAAAAAADAAAAAAAAAJsAAAAA"
    "AAAAfAAAAAAAAABQSwYHAAAAABcBAAAAAAAAAQAAAFBLBQYAAAAAAwADAJsAAAB8AAAAAAA=",
    "UEsDBC0AAAAAAAAAIQCGphA2//////////8FABQAYS50eHQBABAABQAAAAAAAAAFAAAAAAAAAGhlbGxvUEsDBC0AAAAIAAAAIQDz8PUk////"
    "//////8HABQAZC9iLmJpbgEAEABYAgAAAAAAAAoAAAAAAAAAS0xKHIWjkOoQAFBLAwQtAAAACAAAACEAAAAAAP//////////BQAUAGVtcHR5"
    "AQAQAAAAAAAAAAAAAgAAAAAAAAADAFBLAQItAy0AAAAAAAAAIQCGphA2BQAAAAUAAAAFAAAAAAAAAAAAAACAAQAAAABhLnR4dFBLAQItAy0A"
    "AAAIAAAAIQDz8PUk//////////8HABwAAAAAAAAAAACAAf////9kL2IuYmluAQAYAFgCAAAAAAAACgAAAAAAAAA8AAAAAAAAAFBLAQItAy0A"
    "AAAIAAAAIQAAAAAAAgAAAAAAAAAFAAwAAAAAAAAAAACAAf////9lbXB0eQEACAB/AAAAAAAAAFBLBgYsAAAAAAAAAC0ALQAAAAAAAAAAAAMA"
    "AAAAAAAAAwAAAAAAAADDAAAAAAAAALgAAAAAAAAAUEsGBwAAAAB7AQAAAAAAAAEAAABQSwUGAAAAAAMAAwDDAAAAuAAAAAAA"};

TEST(Zip, ReadsWhatPythonWrites) {
  std::string repeated;
  for (int i = 0; i < 300; ++i) repeated += "ab";
  for (const char* archive : kArchives)
    EXPECT_EQ(read_all(from_base64(archive)),
              (std::vector<File>{{"a.txt", "hello"}, {"d/b.bin", repeated}, {"empty", ""}}));
  EXPECT_TRUE(read_all(zip_archive({})).empty());
}

TEST(Zip, StoredBytesThatLookPackedAreLeftAlone) {
  const std::string packed = gzip("abc");
  EXPECT_EQ(read_all(zip_archive({{"a.gz", packed, false}})), (std::vector<File>{{"a.gz", packed}}));
}

TEST(Zip, WhatIsMissingIsNamed) {
  const TempDirectory temp;
  put_file(temp / "f.zip", zip_archive({{"a", "1"}, {"b", "2"}}));
  const ZipArchive zip(temp / "f.zip");
  expect_error(ExitCode::kBadData, {"f.zip", "a member 'c', found a, b"}, [&] { zip.read("c"); });
  expect_error(ExitCode::kNoInput, {"absent.zip"}, [&] { ZipArchive(temp / "absent.zip"); });
}

TEST(Zip, TheBeginningOfALongMember) {
  std::string data;
  for (int i = 0; i < 300000; ++i) data += static_cast<char>(i * i >> 5);
  const TempDirectory temp;
  for (const bool deflate : {false, true}) {
    put_file(temp / "f.zip", zip_archive({{"a", data, deflate}}));
    const std::vector<uint8_t> beginning = ZipArchive(temp / "f.zip").read_beginning("a", 65536);
    EXPECT_EQ(std::string(beginning.begin(), beginning.end()), data.substr(0, 65536));
  }
}

TEST(Zip, EveryTruncationIsRefused) {
  for (const char* packed : kArchives) {
    const std::string archive = from_base64(packed);
    for (size_t n = 0; n < archive.size(); ++n) expect_bad({}, archive.substr(0, n));
  }
}

// Whatever is changed: an Error, or the same contents (times and attributes are nobody's business; a name may change).
TEST(Zip, ChangedBytesDoNoHarm) {
  int refused = 0;
  for (const char* packed : kArchives) {
    const std::string archive = from_base64(packed);
    const std::vector<File> expected = read_all(archive);
    for (size_t i = 0; i < archive.size(); ++i) {
      std::string changed = archive;
      changed[i] = static_cast<char>(changed[i] ^ (1 << i % 8));
      try {
        EXPECT_EQ(read_all(changed), expected) << i;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kBadData) << error.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 800);
}

TEST(Zip, ChangedContentsAreFoundByTheChecksum) {
  std::string archive = zip_archive({{"a", "hello", false}});
  archive[archive.find("hello")] = 'j';
  expect_bad({"member 'a': damaged: its checksum"}, archive);
}

TEST(Zip, WhatIsNotSupportedIsNamed) {
  for (const int flag : {1, 1 << 6, 1 << 13})
    expect_bad({"member 'a'", "found encryption"}, zip_archive({{.name = "a", .data = "x", .flags = flag}}));
  expect_bad({"member 'a'", "found method 14"}, zip_archive({{.name = "a", .data = "x", .method = 14}}));
  expect_bad({"split into several"}, zip_archive({{.name = "a", .data = "x", .disk = 1}}));
  std::string archive = zip_archive({{"a", "x"}});
  archive[archive.size() - 18] = 1;  // the number of this disk
  expect_bad({"split into several"}, archive);
}

TEST(Zip, MembersThatOverlapAreRefused) {
  expect_bad({"member 'a'", "something else begins"},
             zip_archive({{"a", "x"}, {.name = "b", .data = "y", .offset = 0}}));
  expect_bad({"member 'b'", "something else begins"},
             zip_archive({{"a", "x"}, {.name = "b", .data = "y", .deflate = false, .size = 60, .packed_size = 60}}));
  expect_bad({"member 'a'", "something else begins"}, zip_archive({{.name = "a", .data = "y", .offset = 1 << 30}}));
  expect_bad({"found two"}, zip_archive({{"a", "x"}, {"a", "y"}}));
  std::string archive = zip_archive({{"a", "x"}, {"b", "y"}});
  archive[28] = 7;  // length of the first extra field: moves data into the second member
  expect_bad({"member 'a'", "overlaps"}, archive);
}

TEST(Zip, SizesThatCannotBeAreRefusedBeforeAllocating) {
  const std::string zeros(size_t{80} << 20, '\0');
  expect_bad({"member 'a'", "cannot be trusted to hold 83886080"}, zip_archive({{"a", zeros}}));
  expect_bad({"cannot be trusted"}, zip_archive({{.name = "a", .data = "x", .size = 0xfffffffe}}));
  expect_bad({"zip64 sizes are missing"}, zip_archive({{.name = "a", .data = "x", .size = 0xffffffff}}));
  expect_bad({"expected equal sizes"}, zip_archive({{.name = "a", .data = "x", .deflate = false, .size = 9}}));
  expect_bad({"expected 9 bytes, found 1"}, zip_archive({{.name = "a", .data = "x", .size = 9}}));
  expect_bad({"expected 1 bytes, found more"}, zip_archive({{.name = "a", .data = "xy", .size = 1}}));
}

TEST(Zip, WhatIsNotZipIsRefused) {
  expect_bad({"no end of one"}, "");
  expect_bad({"no end of one"}, std::string(100000, 'x'));
  expect_bad({"no end of one"}, zip_archive({{"a", "x"}}) + "more");
  expect_bad({"directory to end at"}, "in front" + zip_archive({{"a", "x"}}));
}

}  // namespace
}  // namespace convoy
