#include "core/io/safetensors.h"

#include <cstring>
#include <random>

#include "core/base/hash.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

// A file of this header and data, without padding.
std::string make_file(const std::string& header, const std::string& data = "") {
  const uint64_t length = header.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  return file + header + data;
}

SafetensorsFile parse(const std::string& file) { return {to_bytes(file), "f"}; }

void expect_bad(const std::vector<std::string>& parts, const std::string& file) {
  expect_error(ExitCode::kBadData, parts, [&] { parse(file); });
}

// One tensor "a" with these fields.
std::string tensor(const std::string& fields) { return "{\"a\":{" + fields + "}}"; }
std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return tensor("\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets);
}

class SafetensorsWritten : public testing::Test {
 protected:
  SafetensorsWritten() {
    digest_ = write_safetensors(files_, path_,
                                {{"z.weight", StoredType::kF32, {2, 1}, std::as_bytes(std::span(floats_))},
                                 {"bytes", StoredType::kU8, {3}, std::as_bytes(std::span(bytes_))},
                                 {"half", StoredType::kBF16, {1, 1, 1, 1, 1}, std::as_bytes(std::span(&half_, 1))},
                                 {"count", StoredType::kI64, {}, std::as_bytes(std::span(&count_, 1))},
                                 {"empty", StoredType::kF16, {0, 4}, {}}},
                                {{"made by", "convoy \"test\""}});
  }
  TempDirectory temp_;
  PosixFileSystem files_;
  const std::string path_ = temp_ / "f.safetensors";
  const std::vector<float> floats_ = {1.5F, -2.0F};
  const std::vector<uint8_t> bytes_ = {7, 8, 9};
  const uint16_t half_ = f32_to_bf16(3.0F);
  const int64_t count_ = -5;
  FileDigest digest_;
};

TEST_F(SafetensorsWritten, IsReadBack) {
  const SafetensorsFile file = SafetensorsFile::open(path_);
  EXPECT_EQ(file.metadata().at("made by"), "convoy \"test\"");
  std::vector<std::string> names;
  for (const NamedTensor& t : file.tensors()) names.push_back(t.name);
  EXPECT_EQ(names, (std::vector<std::string>{"bytes", "count", "empty", "half", "z.weight"}));
  const int64_t dims[] = {2, 1};
  const NamedTensor& weight = file.get("z.weight", StoredType::kF32, dims);
  EXPECT_EQ(std::memcmp(weight.bytes.data(), floats_.data(), 8), 0);
  EXPECT_EQ(std::memcmp(file.get("count", StoredType::kI64, {}).bytes.data(), &count_, 8), 0);
  EXPECT_EQ(file.find("half")->dims.size(), 5u);
  EXPECT_EQ(file.find("empty")->bytes.size(), 0u);
  EXPECT_EQ(file.find("none"), nullptr);
}

TEST_F(SafetensorsWritten, DigestIsThatOfTheFile) {
  const std::string contents = get_file(path_);
  EXPECT_EQ(digest_.bytes, static_cast<int64_t>(contents.size()));
  EXPECT_EQ(digest_.xxh3_128, hash128_hex(contents));
}

TEST_F(SafetensorsWritten, EveryTensorIsAlignedToItsElement) {
  const SafetensorsFile file = SafetensorsFile::open(path_);
  for (const NamedTensor& t : file.tensors())
    EXPECT_EQ(reinterpret_cast<uintptr_t>(t.bytes.data()) % static_cast<size_t>(size_of(t.type)), 0u) << t.name;
}

TEST_F(SafetensorsWritten, EveryTruncationAndExtensionIsRefused) {
  const std::string contents = get_file(path_);
  for (size_t n = 0; n < contents.size(); ++n) expect_bad({"f: "}, contents.substr(0, n));
  expect_bad({"data, found 22"}, contents + "x");
}

// The format has no checksum, so a changed byte may go unseen here (the manifest sees it), but must not crash.
TEST_F(SafetensorsWritten, NoChangedByteBreaksTheReader) {
  const std::string contents = get_file(path_);
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string damaged = contents;
    for (unsigned k = random() % 3 + 1; k > 0; --k) damaged[random() % damaged.size()] = static_cast<char>(random());
    try {
      parse(damaged);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData) << error.what();
    }
  }
}

TEST_F(SafetensorsWritten, AnotherShapeOrTypeThanExpectedIsNamed) {
  const SafetensorsFile file = SafetensorsFile::open(path_);
  const int64_t dims[] = {3, 1};
  expect_error(ExitCode::kBadData, {path_, "'z.weight' of 3x1 F32, found 2x1 F32"},
               [&] { file.get("z.weight", StoredType::kF32, dims); });
  expect_error(ExitCode::kBadData, {"'gone' of 3x1 F32, found none"},
               [&] { file.get("gone", StoredType::kF32, dims); });
}

TEST_F(SafetensorsWritten, AFullDiskIsReported) {
  FailingFileSystem failing(1, false);  // the first write
  expect_error(ExitCode::kIo, {"write"}, [&] { write_safetensors(failing, path_, {}, {}); });
}

TEST(Safetensors, NoTensorsAtAll) { EXPECT_TRUE(parse(make_file("{}")).tensors().empty()); }

TEST(Safetensors, PaddingBehindTheHeader) {
  EXPECT_EQ(parse(make_file(tensor("U8", "[1]", "[0,1]") + "   ", "x")).tensors().size(), 1u);
}

TEST(Safetensors, HeaderLength) {
  expect_bad({"found 7 bytes"}, "1234567");
  expect_bad({"100 MB"}, std::string("\x01\xe1\xf5\x05\0\0\0\0", 8));  // 100'000'001
  expect_bad({"100 MB"}, std::string(8, '\xff') + "{}");
  expect_bad({"header of 3 bytes", "after 2"}, std::string("\3\0\0\0\0\0\0\0{}", 10));
}

TEST(Safetensors, HeadersThatAreNoHeader) {
  expect_bad({"start with '{'"}, make_file(" {}"));
  expect_bad({"start with '{'"}, make_file(""));
  expect_bad({"not JSON at byte"}, make_file("{"));
  expect_bad({"not JSON"}, make_file("{} {}"));
  expect_bad({"not JSON"}, make_file("{\"\xff\":1}"));
  expect_bad({"'a'", "object"}, make_file("{\"a\":{\"dtype\":{"));
  for (const char* value : {"1", "-1", "1.5", "null", "true", "\"x\"", "[", "[]"})
    expect_bad({"tensor 'a'"}, make_file("{\"a\":" + std::string(value) + "}"));
}

TEST(Safetensors, FieldsOfATensor) {
  expect_bad({"'a'", "found 0 of them"}, make_file(tensor("")));
  expect_bad({"'a'", "unknown field 'x'"}, make_file(tensor("\"x\":1")));
  expect_bad({"'a'", "'dtype' appears twice"}, make_file(tensor("\"dtype\":\"U8\",\"dtype\":\"U8\"")));
  expect_bad({"'a'", "found 'F64'"}, make_file(tensor("F64", "[]", "[0,8]"), "12345678"));
  expect_bad({"'a'", "negative"}, make_file(tensor("U8", "[-1]", "[0,1]"), "x"));
  expect_bad({"'a'", "integer"}, make_file(tensor("U8", "[1.0]", "[0,1]"), "x"));
  expect_bad({"'a'", "out of place or range"}, make_file(tensor("U8", "[18446744073709551615]", "[0,1]"), "x"));
  expect_bad({"'a'", "at most 8"}, make_file(tensor("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), "x"));
  expect_bad({"'a'", "two data_offsets, found 3"}, make_file(tensor("U8", "[1]", "[0,1,1]"), "x"));
  expect_bad({"'a'", "no array"}, make_file(tensor("\"shape\":[[1]]")));
  expect_bad({"'a'", "no string"}, make_file(tensor("\"shape\":\"1\"")));
  expect_bad({"__metadata__"}, make_file("{\"__metadata__\":{\"k\":1}}"));
}

TEST(Safetensors, TensorsMustTileTheData) {
  const auto two = [](const std::string& a, const std::string& b) {
    return "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":" + a +
           "},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":" + b + "}}";
  };
  EXPECT_EQ(parse(make_file(two("[2,4]", "[0,2]"), "1234")).tensors().size(), 2u);
  expect_bad({"'b'", "begin at 2, found 3"}, make_file(two("[0,2]", "[3,5]"), "12345"));  // hole
  expect_bad({"'b'", "begin at 2, found 1"}, make_file(two("[0,2]", "[1,3]"), "123"));    // overlap
  expect_bad({"'b'", "begin at 2, found 0"}, make_file(two("[0,2]", "[0,2]"), "12"));     // the same bytes twice
  expect_bad({"'a'", "begin at 0, found 1"}, make_file(two("[1,3]", "[3,5]"), "12345"));
  expect_bad({"expected 4 bytes of tensor data, found 5"}, make_file(two("[0,2]", "[2,4]"), "12345"));
  expect_bad({"'a'", "expected 2 bytes", "0 to 3"}, make_file(two("[0,3]", "[3,5]"), "12345"));
  expect_bad({"'b'", "expected 2 bytes", "2 to 0"}, make_file(two("[0,2]", "[2,0]"), "12"));
}

TEST(Safetensors, ANameMayAppearOnce) {
  const std::string a = "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}";
  expect_bad({"tensor 'a' appears twice"}, make_file("{" + a + "," + a + "}"));
  expect_bad({"'__metadata__' appears twice"}, make_file("{\"__metadata__\":{},\"__metadata__\":{}}"));
}

TEST(Safetensors, SizesThatOverflow) {
  expect_bad({"'a'", "larger than any file"},
             make_file(tensor("F32", "[4294967296,4294967296]", "[0,4]"), "1234"));  // 2^66 wraps to 0
  expect_bad({"'a'", "larger than any file"}, make_file(tensor("I64", "[9223372036854775807]", "[0,8]"), "12345678"));
}

// A header of brackets must not cost memory or stack.
TEST(Safetensors, DeepNestingIsRefusedAtOnce) {
  expect_bad({"header"}, make_file("{\"a\":" + std::string(1 << 20, '[')));
}

}  // namespace
}  // namespace convoy
