#include "core/io/tar.h"

#include <gtest/gtest.h>

#include "tests/core/base/testing.h"
#include "tests/core/io/testing.h"

namespace convoy {
namespace {

struct File {
  std::string name, data;
  friend bool operator==(const File&, const File&) = default;
};

std::vector<File> read_all(const std::string& archive) {
  const std::vector<std::byte> bytes = to_bytes(archive);
  TarReader reader(bytes, "f.tar");
  std::vector<File> files;
  while (const std::optional<TarMember> member = reader.next()) {
    const std::vector<uint8_t> data = reader.read();
    EXPECT_EQ(static_cast<int64_t>(data.size()), member->size);
    files.push_back({member->name, {data.begin(), data.end()}});
  }
  return files;
}

// By the index: names, and the bytes that it points at.
std::vector<File> index_all(const std::string& archive) {
  static const TempDirectory temp;  // one for thousands of archives
  put_file(temp / "f.tar", archive);
  std::vector<File> files;
  for (const TarMember& member : index_tar(temp / "f.tar"))
    files.push_back(
        {member.name, archive.substr(static_cast<size_t>(member.offset), static_cast<size_t>(member.size))});
  return files;
}

void expect_files(const std::vector<File>& expected, const std::string& archive) {
  EXPECT_EQ(read_all(archive), expected);
  EXPECT_EQ(read_all(gzip(archive)), expected);
  EXPECT_EQ(index_all(archive), expected);
}

void expect_bad(const std::vector<std::string>& parts, const std::string& archive) {
  std::vector<std::string> with_name = parts;
  with_name.emplace_back("f.tar: ");
  expect_error(ExitCode::kBadData, with_name, [&] { read_all(archive); });
  expect_error(ExitCode::kBadData, with_name, [&] { index_all(archive); });
}

std::string repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// Python 3.11, gzip.compress() of a tarfile.open(mode="w", format=…) with TarInfos of these names and contents, and a
// directory 'd' before them.  The ustar one lacks the long name.
const char* const kGnu =
    "H4sIAAAAAAACA+3YSw6CMBQF0C6lK6D0P3UBbIIEVCICwZrgklyHG5M4cFBJGJjWT+8ZUOYv9/VCxUhw+cwo9Thn/rnwbrjQhGoSwfnkypFS"
    "kqiKlZmb3Ifnr735W54rQnPMP7h93bY9gVRlLGObou92RdMdAuZ/IffPzCvxkn+rDaEF8h9h/7fz8L/v0X1I8Mswwfmv3P+cS6//yVxpifs/"
    "hgkgADSrX9n/9XFwly/7/rfcWuz/VPq/kOK1/wv0/zj5H4Jh2zdgNf/N/Nf3v/H6vxQa+z+KYay3Ddpawvm/XUP/81jPv/Lvf80N8h9DW54c"
    "UgAAAAAAkIY7uQEVTAAoAAA=";
const char* const kPax =
    "H4sIAAAAAAACA+3ZQW6DMBAFUK9zCk6APR5juqnSZZe9giVIU4kmiLgSPVLP0YvVrZRKgUhZVDZU/m8BLJBYjGb+AI0U0anAGvNzDqbnK9eW"
    "bCWKSiTwdvJuCI8UeWqkK/3oF65/Nal/TeH2QqH+0e3brjsKyFUpS/nw5MbH1jXtEK//r/T9b88btpf9T0prJYoR/R+dvrNF7/z+vpHd8fC8"
    "vsNhId+puMkh/+MX8Ub+E/Fk/2NVESP/UxgBIsBm9V/mf/va+/eVvf/XmmvM/1z2f214tv+Twf6fAlk+7/99NHL3BxsBMed//LLfnv+T939m"
    "Jsz/JPqh3b1gW8P3vwXzP6T9LP/DSED+p8j/+hz/nx+ZfPKCi/zfruD/n5n9/1OE/E+hcyePLgAAAMjLF6MYvV0AKAAA";
const char* const kUstar =
    "H4sIAAAAAAACA+3WSwrCMBSF4SylKzCtJjfrKbRFoWJpI9QluQ43ZujMIDiwqY/+3yQZBBI43EMqrZLLAzFmWoN4fbKXQqzKrFrAefBlH65U"
    "61TpcuNH/+H8bZS/K8LxLCf/5PZ1254U1Grnvz52/vJl/e+2O8f8L6F5w3z5y2P+xoqTH8+/0l0yMz6z6+vmMNKD6+3/2zX1B/D1/Ju4/60V"
    "+n8JbTl4pgAAAAAAAAAAAOB/3AF1EvBXACgAAA==";

TEST(Tar, ReadsWhatPythonWrites) {
  const std::string long_name = "d/" + repeat("long/", 30) + std::string(120, 'n') + ".txt";
  const std::string with_prefix = "d/" + std::string(90, 'p') + "/" + std::string(60, 'f');
  std::vector<File> files = {{"d/a.txt", "hello"},
                             {long_name, std::string(600, 'x')},
                             {"d/empty", ""},
                             {with_prefix, "prefix"},
                             {"d/\u00e9.txt", "last"}};
  EXPECT_EQ(read_all(from_base64(kGnu)), files);
  EXPECT_EQ(read_all(from_base64(kPax)), files);
  files.erase(files.begin() + 1);
  EXPECT_EQ(read_all(from_base64(kUstar)), files);
}

TEST(Tar, FilesAreFoundAmongOtherMembers) {
  const std::string archive = tar_file("d/", "", '5') + tar_file("d/a", "A") + tar_file("old/", "", '\0') +
                              tar_file("b", std::string(512, 'B'), '\0') + tar_file("label", "", 'V') +
                              tar_file("g", pax_record("comment", "0123"), 'g') + tar_file("c", "", '7');
  expect_files({{"d/a", "A"}, {"b", std::string(512, 'B')}, {"c", ""}}, archive + tar_end());
  expect_files({}, tar_end());
}

TEST(Tar, DataThatNobodyAsksForIsPassedOver) {
  const std::vector<std::byte> archive =
      to_bytes(tar_file("a", "1") + tar_file("b", std::string(513, '2')) + tar_end());
  TarReader reader(archive, "f.tar");
  EXPECT_EQ(reader.next()->offset, 512);
  const TarMember second = reader.next().value();
  EXPECT_EQ(second.name, "b");
  EXPECT_EQ(second.offset, 1536);
  EXPECT_EQ(reader.read().size(), 513u);
  EXPECT_TRUE(reader.read().empty());
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
}

TEST(Tar, PaxAttributesHoldForOneMember) {
  const std::string attributes = pax_record("path", "pax") + pax_record("mtime", "1.5") + pax_record("size", "2");
  const std::string header = tar_header("a", octal(7, 11), '0');
  expect_files({{"pax", "xy"}, {"b", "z"}}, tar_file("x", attributes, 'x') + header + "xy" + std::string(510, '\0') +
                                                tar_file("b", "z") + tar_end());
  const std::string both = tar_file("x", pax_record("path", "pax"), 'x') + tar_file("L", std::string("gnu\0", 4), 'L');
  expect_files({{"pax", "A"}, {"b", "B"}}, both + tar_file("a", "A") + tar_file("b", "B") + tar_end());
}

TEST(Tar, PaxAttributesThatAreNotAreRefused) {
  const auto with = [](const std::string& text, char type = 'x') {
    return tar_file("x", text, type) + tar_file("a", "A") + tar_end();
  };
  for (const char* text : {"path=x\n", "0 path=x\n", "3 path=x\n", "99 path=x\n", "9 path=xx", "6 =xx\n", "7 path\n",
                           "-9 path=x\n", "99999999999999999999 path=x\n", "\n", " "})
    expect_bad({"'length key=value'"}, with(text));
  expect_bad({"attribute size", "'-1'"}, with(pax_record("size", "-1")));
  expect_bad({"attribute size"}, with(pax_record("size", "99999999999999999999")));
  expect_bad({"name of a member"}, with(pax_record("path", std::string("a\0b", 3))));
  expect_bad({"size of one member"}, with(pax_record("size", "1"), 'g'));
  expect_bad({"sparse"}, with(pax_record("GNU.sparse.major", "1")));
  expect_bad({"cut short"}, with(pax_record("size", "999999999999999999")));
}

TEST(Tar, SizesInBase256) {
  const auto with = [](const std::string& size) {
    return tar_header("a", size, '0') + std::string(512, 'x') + tar_end();
  };
  expect_files({{"a", "xx"}}, with("\x80" + std::string(10, '\0') + '\2'));
  expect_bad({"expected a size"}, with(std::string(11, '\xff') + '\xfe'));  // -2
  expect_bad({"expected a size"}, with("\x80" + std::string(11, '\xff')));
  expect_bad({"expected a size"}, with("\x80" + std::string(3, '\0') + "\x7f" + std::string(7, '\xff')));
  expect_bad({"cut short"}, with("\x80" + std::string(4, '\0') + "\x01" + std::string(6, '\0')));
  expect_bad({"expected a size"}, with("0000000009 "));
  expect_bad({"expected a size"}, with("-0000000002"));
  expect_bad({"expected a size"}, with(""));
}

TEST(Tar, MembersThatWouldGoMissingAreRefused) {
  for (const char type : {'1', '2'}) expect_bad({"member 'a'", "a link"}, tar_file("a", "", type) + tar_end());
  for (const char type : {'S', 'M', 'D', 'Z'})
    expect_bad({"member 'a'", "of type"}, tar_file("a", "", type) + tar_end());
  const std::string archive = tar_file("a", "A") + tar_end();
  expect_bad({"second archive"}, archive + archive);
}

TEST(Tar, EndlessHeadersEndWithTheFile) {
  expect_bad({"cut short"}, repeat(tar_file("x", pax_record("path", "x"), 'x') + tar_file("L", "y", 'L'), 1000));
  expect_bad({"at most 1048576 bytes"}, tar_header("L", octal(int64_t{1} << 32, 11), 'L') + std::string(4096, 'x'));
}

TEST(Tar, EveryTruncationIsRefused) {
  const std::string archive = tar_file("x", pax_record("path", "pax"), 'x') + tar_file("a", "A") + tar_file("b", "B");
  for (size_t n = 0; n <= archive.size(); n += 8) expect_bad({"cut short"}, archive.substr(0, n));
  const std::string packed = gzip(archive + tar_end());
  for (size_t n = 0; n < packed.size(); ++n)
    expect_error(ExitCode::kBadData, {"f.tar: "}, [&] { read_all(packed.substr(0, n)); });
}

TEST(Tar, EveryChangedByteOfAHeaderIsFound) {
  const std::string archive = tar_file("a", "A") + tar_end();
  for (size_t i = 0; i < 512; ++i) {
    std::string damaged = archive;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x11);
    if (i == 154 || i == 155)  // behind the digits of the checksum
      continue;
    expect_bad({}, damaged);
  }
}

// Old programs summed signed bytes.
TEST(Tar, EitherChecksum) {
  std::string archive = tar_file("\xe9", "A") + tar_end();
  expect_files({{"\xe9", "A"}}, archive);
  const auto sum = static_cast<int64_t>(std::stoi(archive.substr(148, 6), nullptr, 8));
  archive.replace(148, 6, octal(sum - 256, 6));
  expect_files({{"\xe9", "A"}}, archive);
  archive.replace(148, 6, octal(sum - 255, 6));
  expect_bad({"checksum"}, archive);
}

TEST(Tar, ABombIsRefused) {
  std::string archive = tar_file("a", std::string(size_t{80} << 20, '\0')) + tar_end();
  EXPECT_EQ(read_all(archive).size(), 1u);
  archive = gzip(archive);
  expect_error(ExitCode::kBadData, {"f.tar: ", "which no images do"}, [&] { read_all(archive); });
}

// A hole in the file stands for the data.
TEST(Tar, AnIndexOfMoreThan8GiBReadsHeaders) {
  constexpr int64_t kSize = int64_t{9} << 30;
  const TempDirectory temp;
  const std::string path = temp / "f.tar";
  put_file(path, tar_header("a", "\x80" + std::string(6, '\0') + "\x02\x40" + std::string(3, '\0'), '0'));
  std::filesystem::resize_file(path, 512 + kSize);
  std::ofstream(path, std::ios::binary | std::ios::app) << tar_file("b", "B") + tar_end();
  const std::vector<TarMember> members = index_tar(path);
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].size, kSize);
  EXPECT_EQ(members[1].name, "b");
  EXPECT_EQ(members[1].offset, 512 + kSize + 512);
}

TEST(Tar, AnIndexIsOfWhatIsNotCompressed) {
  expect_error(ExitCode::kBadData, {"f.tar", "gunzip"}, [] { index_all(gzip(tar_end())); });
  expect_error(ExitCode::kBadData, {"f.tar", "cut short"}, [] { index_all(""); });
  expect_error(ExitCode::kBadData, {"f.tar", "checksum"}, [] { index_all(std::string(2000, 'x')); });
  expect_error(ExitCode::kNoInput, {"absent.tar"}, [] { index_tar("/nowhere/absent.tar"); });
}

}  // namespace
}  // namespace convoy
