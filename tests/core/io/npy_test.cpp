#include "core/io/npy.h"

#include <gtest/gtest.h>

#include "tests/core/base/testing.h"
#include "tests/core/io/testing.h"

namespace convoy {
namespace {

NpyArray parse(const std::string& file) { return parse_npy({file.begin(), file.end()}, "f.npy"); }

void expect_bad(const std::vector<std::string>& parts, const std::string& file) {
  std::vector<std::string> with_name = parts;
  with_name.emplace_back("f.npy: ");
  expect_error(ExitCode::kBadData, with_name, [&] { parse(file); });
}

// NumPy 2.4: numpy.lib.format.write_array(f, numpy.arange(-3, 3, dtype='<i2').reshape(2, 3), version), in base64.
const char* const kVersions[] = {
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGkyJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAg"
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAr9//7///8AAAEAAgA=",
    "k05VTVBZAgB0AAAAeydkZXNjcic6ICc8aTInLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMiwgMyksIH0gICAgICAgICAg"
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAr9//7///8AAAEAAgA=",
    "k05VTVBZAwB0AAAAeydkZXNjcic6ICc8aTInLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMiwgMyksIH0gICAgICAgICAg"
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAr9//7///8AAAEAAgA="};
// The same of numpy.asfortranarray(numpy.arange(6, dtype='u1').reshape(2, 3)), numpy.array([1], dtype='>i4') and
// numpy.array([(1, 2)], dtype=[('a', 'u1'), ('b', '<i4')]).
const char* const kFortran =
    "k05VTVBZAQB2AHsnZGVzY3InOiAnfHUxJywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUnOiAoMiwgMyksIH0gICAgICAgICAgICAg"
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAwEEAgU=";
const char* const kBigEndian =
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPmk0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDEsKSwgfSAgICAgICAgICAgICAg"
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAB";
const char* const kRecord =
    "k05VTVBZAQB2AHsnZGVzY3InOiBbKCdhJywgJ3x1MScpLCAoJ2InLCAnPGk0JyldLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUn"
    "OiAoMSwpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoBAgAAAA==";

TEST(Npy, ReadsWhatNumpyWrites) {
  for (const char* file : kVersions) {
    const NpyArray array = parse(from_base64(file));
    EXPECT_EQ(array.type, "<i2");
    EXPECT_EQ(array.dims, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(npy_integers(array, "f"), (std::vector<int32_t>{-3, -2, -1, 0, 1, 2}));
  }
  expect_bad({"Fortran order", "ascontiguousarray"}, from_base64(kFortran));
  expect_bad({"found >i4: big-endian"}, from_base64(kBigEndian));
  expect_bad({"not records"}, from_base64(kRecord));
}

TEST(Npy, AnyRank) {
  EXPECT_EQ(parse(npy_file("|u1", "()", "a")).dims, std::vector<int64_t>{});
  EXPECT_EQ(parse(npy_file("|u1", "(3,)", "abc")).dims, std::vector<int64_t>{3});
  EXPECT_EQ(parse(npy_file("|u1", "(1, 2, 1, 2)", "abcd")).dims, (std::vector<int64_t>{1, 2, 1, 2}));
  EXPECT_EQ(parse(npy_file("<f8", "(0, 28)", "")).dims, (std::vector<int64_t>{0, 28}));
  EXPECT_EQ(parse(npy_file("|u1", "(2L, 1L)", "ab")).dims, (std::vector<int64_t>{2, 1}));  // Python 2
  EXPECT_EQ(parse(npy_file("<u1", "(2,)", "ab")).type, "|u1");
}

TEST(Npy, IntegersOfAnyType) {
  const auto check = [](const std::string& type, const std::string& elements, const std::vector<int32_t>& expected) {
    const std::string dims = "(" + std::to_string(expected.size()) + ",)";
    EXPECT_EQ(npy_integers(parse(npy_file(type, dims, elements)), "f"), expected) << type;
  };
  check("|u1", "\1\xff", {1, 255});
  check("|i1", "\1\xff", {1, -1});
  check("<u2", "\1\2\xff\xff", {513, 65535});
  check("<i2", "\1\2\xff\xff", {513, -1});
  check("<u4", "\1\2\3\4", {0x04030201});
  check("<i4", "\xfe\xff\xff\xff", {-2});
  check("<u8", std::string("\1\2\0\0\0\0\0\0", 8), {513});
  check("<i8", "\xfd\xff\xff\xff\xff\xff\xff\xff", {-3});
}

TEST(Npy, IntegersThatDoNotFitAreNamed) {
  const auto integers = [](const std::string& file) { npy_integers(parse(file), "f"); };
  const std::string eight = std::string("\1\0\0\0\0\0\0\0", 8) + std::string("\0\0\0\0\1\0\0\0", 8);
  expect_error(ExitCode::kBadData, {"f: element 1", "found 4294967296"},
               [&] { integers(npy_file("<i8", "(2,)", eight)); });
  expect_error(ExitCode::kBadData, {"found 4294967295"},
               [&] { integers(npy_file("<u4", "(1,)", "\xff\xff\xff\xff")); });
  expect_error(ExitCode::kBadData, {"whole numbers", "<f4", "astype"},
               [&] { integers(npy_file("<f4", "(1,)", "\1\2\3\4")); });
}

TEST(Npy, PixelsAreBytes) {
  require_npy_pixels("|u1", "f");
  expect_error(ExitCode::kBadData, {"f: ", "<f4", "x * 255"}, [] { require_npy_pixels("<f4", "f"); });
}

TEST(Npy, EveryTruncationIsRefused) {
  for (const char* packed : kVersions) {
    const std::string file = from_base64(packed);
    for (size_t n = 0; n < file.size(); ++n) expect_bad({}, file.substr(0, n));
    expect_bad({"expected 12 bytes of 2x3 <i2, found 13"}, file + "x");
  }
}

// Whatever is changed: an Error, or an array that agrees with its header.
TEST(Npy, ChangedBytesDoNoHarm) {
  int refused = 0;
  for (const std::string& file : {from_base64(kVersions[0]), npy_file("|u1", "(2, 3)", "abcdef")}) {
    for (size_t i = 0; i < file.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string changed = file;
        changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
        try {
          EXPECT_LE(parse(changed).bytes.size(), 12u);
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ExitCode::kBadData);
          ++refused;
        }
      }
    }
  }
  EXPECT_GT(refused, 500);
}

std::string with_header(const std::string& header) {
  return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size()) + '\0' + header + "abcdef";
}

TEST(Npy, TheHeaderIsADictOfThreeKeys) {
  const std::string type = "'descr': '|u1'", order = "'fortran_order': False", dims = "'shape': (6,)";
  for (const std::string& good :
       {"{" + dims + "," + type + "," + order + "}", "{ " + type + " ,\n" + order + " , " + dims + ",} \n",
        "{\"descr\":\"|u1\"," + order + "," + dims + "}"})
    EXPECT_EQ(parse(with_header(good)).bytes.size(), 6u) << good;
  for (const std::string& header :
       {std::string(), std::string("{}"), std::string("{,}"), "{" + type + "," + order + "}",
        "{" + type + "," + order + "," + dims + "," + dims + "}", "{" + type + "," + order + "," + dims,
        "{" + type + "," + order + "," + dims + "} x", "{" + type + " " + order + "," + dims + "}",
        "{" + type + "," + order + "," + dims + ", 'more': 1}", "[" + type + "," + order + "," + dims + "]",
        "{'descr': '|u1" + order + "," + dims + "}", "{" + type + ",'fortran_order': 0," + dims + "}"})
    expect_bad({"NPY header: expected"}, with_header(header));
  for (const char* shape : {"(6)", "6", "(6,", "(6,,)", "(,)", "(-6,)", "(6, 1", "(6 1)", "(0x6,)", "(1.5,)", "[6,]",
                            "(99999999999999999999,)", "(9223372036854775808,)", "None"})
    expect_bad({"NPY header: expected"}, with_header("{" + type + "," + order + ",'shape': " + shape + "}"));
}

TEST(Npy, PromisesBeyondTheFileAreRefusedBeforeAllocating) {
  expect_bad({"larger than any file"}, npy_file("<f8", "(2147483647, 2147483647, 2147483647)", "a"));
  expect_bad({"larger than any file"}, npy_file("<f8", "(9223372036854775807,)", "a"));
  expect_bad({"expected 4611686014132420609 bytes", "found 1"}, npy_file("|u1", "(2147483647, 2147483647)", "a"));
  expect_bad({"header of at most 16384 bytes"}, std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12));
}

TEST(Npy, WhatIsNotNpyIsRefused) {
  expect_bad({"x93NUMPY"}, "PK\3\4");
  expect_bad({"version 1 to 3, found 4"}, std::string("\x93NUMPY\4\0", 8));
  expect_bad({"found |O: Python objects"}, npy_file("|O", "(1,)", "a"));
  expect_bad({"found <c8"}, npy_file("<c8", "(1,)", "abcdefgh"));
  expect_bad({"found <U3"}, npy_file("<U3", "(1,)", "a"));
}

}  // namespace
}  // namespace convoy
