#include "core/io/protobuf.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/core/base/testing.h"

namespace convoy {
namespace {

const std::string kWhere = "f.pb";

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

ProtoReader first_field(const std::string& text) {
  ProtoReader reader(bytes_of(text), kWhere);
  EXPECT_TRUE(reader.next());
  return reader;
}

void expect_bad(const std::vector<std::string>& parts, const std::string& text) {
  std::vector<std::string> with_name = parts;
  with_name.emplace_back("f.pb: protobuf field ");
  expect_error(ExitCode::kBadData, with_name, [&] {
    for (ProtoReader reader(bytes_of(text), kWhere); reader.next();) {
    }
  });
}

// The examples of https://protobuf.dev/programming-guides/encoding.
TEST(Protobuf, ReadsTheExamplesOfTheSpecification) {
  const std::string number("\x08\x96\x01", 3), text("\x12\x07testing", 9),
      packed("\x32\x06\x03\x8E\x02\x9E\xA7\x05", 8);
  EXPECT_EQ(first_field(number).field(), 1);
  EXPECT_EQ(first_field(number).integer(), 150);
  EXPECT_EQ(first_field(text).field(), 2);
  EXPECT_EQ(first_field(text).text(), "testing");
  const std::string message = std::string("\x1a\x03", 2) + number;
  ProtoReader inner = first_field(message).message();
  ASSERT_TRUE(inner.next());
  EXPECT_EQ(inner.integer(), 150);
  EXPECT_FALSE(inner.next());
  std::vector<int64_t> list;
  first_field(packed).append(list);
  EXPECT_EQ(list, (std::vector<int64_t>{3, 270, 86942}));
  first_field(number).append(list);
  EXPECT_EQ(list.back(), 150);
}

TEST(Protobuf, ReadsWhatItWrites) {
  const int64_t least = std::numeric_limits<int64_t>::min();
  ProtoWriter writer;
  writer.integer(1, -1);
  writer.integer(2, least);
  writer.f32(3, 1.5F);
  writer.f64(4, -0.1);
  writer.message(5, [&] {
    writer.text(1, std::string(200, 'x'));
    writer.message(2, [&] { writer.packed(300, std::vector<int64_t>{0, -5, 128}); });
  });
  writer.packed(6, std::vector<float>{0.5F, 2});
  const std::string out = writer.take();

  ProtoReader reader(bytes_of(out), kWhere);
  const auto next = [&](int field) {
    EXPECT_TRUE(reader.next());
    EXPECT_EQ(reader.field(), field);
  };
  next(1);
  EXPECT_EQ(reader.integer(), -1);
  next(2);
  EXPECT_EQ(reader.integer(), least);
  next(3);
  EXPECT_EQ(reader.f32(), 1.5F);
  next(4);
  EXPECT_EQ(reader.f64(), -0.1);
  next(5);
  ProtoReader inner = reader.message();
  EXPECT_TRUE(inner.next());
  EXPECT_EQ(inner.text(), std::string(200, 'x'));
  EXPECT_TRUE(inner.next());
  ProtoReader innermost = inner.message();
  EXPECT_TRUE(innermost.next());
  EXPECT_EQ(innermost.field(), 300);
  std::vector<int64_t> integers;
  innermost.append(integers);
  EXPECT_EQ(integers, (std::vector<int64_t>{0, -5, 128}));
  next(6);
  std::vector<float> floats;
  reader.append(floats);
  EXPECT_EQ(floats, (std::vector<float>{0.5F, 2}));
  EXPECT_FALSE(reader.next());
}

TEST(Protobuf, DamageIsNamed) {
  expect_bad({"field 0: cut short in a number"}, "\x80");
  expect_bad({"field 1: cut short in a number"}, "\x08\x96");
  expect_bad({"field 1: a number of more than 64 bits"}, "\x08" + std::string(9, '\xff') + "\x02");
  expect_bad({"field 1: a number of more than 64 bits"}, "\x08" + std::string(10, '\x80') + "\x01");
  expect_bad({"field 2: expected 5 bytes, found 1"}, "\x12\x05x");
  expect_bad({"field 1: expected 4 bytes, found 2"}, "\x0d\x01\x02");
  expect_bad({"field 1: expected 18446744073709551615 bytes"}, "\x0a" + std::string(9, '\xff') + "\x01");
  expect_bad({"field 1: wire type 3"}, "\x0b\x0c");
  expect_bad({"field number out of range"}, std::string(2, '\0'));
}

TEST(Protobuf, OtherTypesThanAskedForAreNamed) {
  const std::string number("\x08\x96\x01", 3), text("\x12\x03\xff\xfe\xfd", 5);
  const auto expect = [](const std::string& part, const std::function<void()>& call) {
    expect_error(ExitCode::kBadData, {"f.pb: protobuf field ", part}, call);
  };
  expect("expected wire type 2, found 0", [&] { first_field(number).text(); });
  expect("expected wire type 5, found 0", [&] { first_field(number).f32(); });
  expect("expected wire type 1, found 0", [&] { first_field(number).f64(); });
  expect("expected wire type 0, found 2", [&] { first_field(text).integer(); });
  expect("UTF-8", [&] { first_field(text).text(); });
  std::vector<float> floats;
  expect("a packed list of 3 bytes", [&] { first_field(text).append(floats); });
  expect("expected wire type 5", [&] { first_field(number).append(floats); });
}

TEST(Protobuf, DepthIsBounded) {
  std::string nested;
  for (int i = 0; i < 40; ++i) {
    ProtoWriter writer;
    writer.text(1, nested);
    nested = writer.take();
  }
  expect_error(ExitCode::kBadData, {"more than 32 deep"}, [&] {
    ProtoReader reader(bytes_of(nested), kWhere);
    while (reader.next()) reader = reader.message();
  });
}

}  // namespace
}  // namespace convoy
