#include "core/io/json_fields.h"
#include "core/io/limited_json.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

using Fields = std::map<std::string, std::string>;

void expect_bad(const std::vector<std::string>& parts, const std::string& text) {
  expect_error(ExitCode::kBadData, parts, [&] { parse_json_fields(text, "f:3"); });
}

TEST(JsonFields, TextsAndIntegersOfTheOutermostObject) {
  EXPECT_EQ(parse_json_fields(R"( {"a": "x\u00e9", "b": 7, "c": -1, "d": {"a": 5}, "e": [1, {"b": 2}]} )", "f"),
            (Fields{{"a", "x\xc3\xa9"}, {"b", "7"}, {"c", "-1"}}));
  EXPECT_EQ(parse_json_fields(R"({"a": 1.5, "b": null, "c": true})", "f"), Fields{});
}

TEST(JsonFields, WhatIsNoObjectIsRefused) {
  for (const char* text : {"", " ", "[1]", "3", "\"a\""}) expect_bad({"f:3: expected a JSON object"}, text);
  expect_bad({"f:3: 'a' appears twice"}, R"({"a": 1, "a": 2})");
  expect_bad({"f:3: not JSON at byte 10"}, R"({"a": 1} {})");
  const std::string whole = R"({"a": "b", "c": [1, 2]})";
  for (size_t n = 1; n < whole.size(); ++n) expect_bad({"f:3: not JSON"}, whole.substr(0, n));
  const std::string deep = "{\"a\":" + std::string(1'000'000, '[');
  expect_bad({"not JSON"}, deep);
}

TEST(LimitedJson, IsBoundedInDepthAndTime) {
  EXPECT_EQ(json_depth(R"({"a": [1, "[[[\"[[", {}]})"), 3);
  EXPECT_EQ(json_depth(R"("\\", [])"), 1);
  std::string objects = "[{}";
  for (int i = 0; i < 300'000; ++i) objects += ",{}";
  EXPECT_EQ(parse_limited_json(objects + "]", "f").size(), 300'001u);  // hours, were it quadratic
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(parse_limited_json(nested(200), "f").size(), 1u);
  expect_error(ExitCode::kBadData, {"f: deeper than 200 levels"}, [&] { parse_limited_json(nested(201), "f"); });
  expect_error(ExitCode::kBadData, {"f: not JSON"}, [&] { parse_limited_json("[1", "f"); });
}

}  // namespace
}  // namespace convoy
