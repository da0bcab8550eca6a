#include "core/io/csv.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"

namespace convoy {

CsvReader::CsvReader(std::string_view text, std::string name) : name_(std::move(name)), rest_(text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
}

std::string CsvReader::where() const { return name_ + ":" + std::to_string(row_line_); }

void CsvReader::skip_line_end() {
  if (rest_.empty()) return;
  rest_.remove_prefix(rest_.front() == '\r' ? 2 : 1);
  ++line_;
}

bool CsvReader::next(std::vector<std::string>& fields) {
  while (!rest_.empty() && at_line_end()) skip_line_end();
  row_line_ = line_;
  fields.clear();
  if (rest_.empty()) return false;
  for (;;) {
    fields.push_back(rest_.starts_with('"') ? quoted_field() : field());
    if (at_line_end()) break;
    if (rest_.front() != ',') throw Error(ExitCode::kBadData, where() + ": expected ',' after a quoted field");
    rest_.remove_prefix(1);
  }
  skip_line_end();
  return true;
}

std::string CsvReader::field() {
  size_t end = std::min(rest_.find_first_of(",\n\""), rest_.size());
  if (rest_.substr(end).starts_with('"'))
    throw Error(ExitCode::kBadData, where() + ": expected a field with quotes to be quoted itself");
  if (rest_.substr(end).starts_with('\n') && end > 0 && rest_[end - 1] == '\r') --end;
  std::string text(rest_.substr(0, end));
  rest_.remove_prefix(end);
  return text;
}

std::string CsvReader::quoted_field() {
  std::string text;
  do {
    const size_t end = rest_.find('"', 1);
    if (end == std::string_view::npos)
      throw Error(ExitCode::kBadData, where() + ": expected a closing quote, found none");
    text += rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    if (rest_.starts_with('"')) text += '"';
  } while (rest_.starts_with('"'));
  line_ += std::ranges::count(text, '\n');
  return text;
}

}  // namespace convoy
