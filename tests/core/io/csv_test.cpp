#include "core/io/csv.h"

#include "tests/core/base/testing.h"

namespace convoy {
namespace {

using Rows = std::vector<std::vector<std::string>>;

Rows parse(const std::string& text) {
  CsvReader reader(text, "f.csv");
  Rows rows;
  for (std::vector<std::string> row; reader.next(row);) rows.push_back(row);
  return rows;
}

void expect_bad(const std::vector<std::string>& parts, const std::string& text) {
  expect_error(ExitCode::kBadData, parts, [&] { parse(text); });
}

TEST(Csv, FieldsAndLineEnds) {
  EXPECT_EQ(parse("a,b\n1,2\n"), (Rows{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(parse("\xef\xbb\xbf"
                  "a,b\r\n\r\n1,2"),
            (Rows{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(parse("a,,c\n,\n"), (Rows{{"a", "", "c"}, {"", ""}}));
  EXPECT_EQ(parse(""), Rows{});
  EXPECT_EQ(parse("\n\n"), Rows{});
  EXPECT_EQ(parse(" a , b\rc \n"), (Rows{{" a ", " b\rc "}}));
}

TEST(Csv, QuotedFields) {
  EXPECT_EQ(parse("\"a,b\",\"line\r\nend\",\"a \"\"quote\"\"\"\r\n"), (Rows{{"a,b", "line\r\nend", "a \"quote\""}}));
  EXPECT_EQ(parse("\"\",\"\"\"\"\n"), (Rows{{"", "\""}}));
}

TEST(Csv, ErrorsNameTheLineWhereTheRowBegins) {
  expect_bad({"f.csv:3: expected a closing quote"}, "a\n\n1,\"2\n3");
  expect_bad({"f.csv:4: expected ',' after a quoted field"}, "\"1\n2\n3\"\n\"a\"b\n");
  expect_bad({"f.csv:1: expected a field with quotes"}, "a\"b\"\n");
}

}  // namespace
}  // namespace convoy
