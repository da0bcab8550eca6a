// Comma-separated values, RFC 4180: fields may be quoted, and then hold commas, line ends and doubled quotes.
// A line ends with LF or CRLF.  A byte-order mark at the beginning and empty lines are skipped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

class CsvReader {
 public:
  // `text` must outlive the reader; `name` is for messages.
  CsvReader(std::string_view text, std::string name);

  // The next row; false at the end.  Throws Error(kBadData) naming file and line.
  bool next(std::vector<std::string>& fields);

  std::string where() const;  // of the row read last: "data.csv:7"

 private:
  bool at_line_end() const { return rest_.empty() || rest_.starts_with('\n') || rest_.starts_with("\r\n"); }
  void skip_line_end();
  std::string field();
  std::string quoted_field();

  const std::string name_;
  std::string_view rest_;
  int64_t line_ = 1;  // where rest_ begins
  int64_t row_line_ = 1;
};

}  // namespace convoy
