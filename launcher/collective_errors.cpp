#include "launcher/collective_errors.h"

#include <algorithm>
#include <new>
#include <optional>

namespace convoy {
namespace {

std::string joined(const std::vector<CollectiveError::Report>& reports) {
  std::string text;
  for (const auto& [rank, line] : reports) {
    if (!text.empty()) text += '\n';
    if (rank != CollectiveError::kEveryRank) text += "[r" + std::to_string(rank) + "] ";
    text += line;
  }
  return text;
}

// "78 text"; nothing for success.
std::string encoded(const std::optional<Failure>& failure) {
  return failure ? std::to_string(static_cast<int>(failure->code)) + " " + failure->text : "";
}

Failure decoded(const std::string& bytes) {
  const size_t space = bytes.find(' ');
  return {static_cast<ExitCode>(std::stoi(bytes.substr(0, space))), bytes.substr(space + 1)};
}

std::string and_others(size_t count) {
  if (count < 2) return "";
  return " (and " + std::to_string(count - 1) + (count == 2 ? " other rank)" : " other ranks)");
}

// Requires: an entry of `by_rank` is not empty.
CollectiveError collective_error(const std::vector<std::string>& by_rank) {
  std::vector<std::string> seen;
  std::vector<CollectiveError::Report> reports;
  ExitCode code = ExitCode::kInternal;
  for (size_t rank = 0; rank < by_rank.size(); ++rank) {
    const std::string& bytes = by_rank[rank];
    if (bytes.empty() || std::ranges::count(seen, bytes) > 0) continue;
    seen.push_back(bytes);
    const Failure failure = decoded(bytes);
    if (reports.empty()) code = failure.code;
    const auto count = static_cast<size_t>(std::ranges::count(by_rank, bytes));
    if (count == by_rank.size()) return {code, failure.text};
    reports.push_back({static_cast<int>(rank), failure.text + and_others(count)});
  }
  return {code, std::move(reports)};
}

}  // namespace

Failure current_failure() {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ExitCode::kOutOfMemory, "out of memory"};
  } catch (const InternalError& error) {
    return {ExitCode::kInternal, error.what()};
  } catch (const std::exception& error) {
    return {ExitCode::kInternal, std::string("internal error: ") + error.what()};
  } catch (...) {
    return {ExitCode::kInternal, "internal error"};
  }
}

CollectiveError::CollectiveError(ExitCode code, std::vector<Report> reports)
    : Error(code, joined(reports)), reports_(std::move(reports)) {}

void run_on_all_ranks(RankGroup& group, const std::function<void()>& body) {
  std::optional<Failure> mine;
  try {
    body();
  } catch (...) {
    mine = current_failure();
  }
  const std::vector<std::string> by_rank = group.all_gather_bytes(encoded(mine));
  if (std::ranges::any_of(by_rank, [](const std::string& bytes) { return !bytes.empty(); })) {
    throw collective_error(by_rank);
  }
}

}  // namespace convoy
