#include "dist/agreement.h"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "core/base/hash.h"

namespace convoy {
namespace {

constexpr size_t kRanksShown = 8;
constexpr size_t kLineShown = 120;  // bytes

using Facts = std::map<std::string, std::string>;

// Length-prefixed, so that no value can pass for the next name.
std::string pack(const std::vector<Fact>& facts) {
  std::string bytes;
  for (const auto& [name, value] : facts) {
    for (const std::string& text : {name, value}) bytes += std::to_string(text.size()) + ":" + text;
  }
  return bytes;
}

std::string take_text(const std::string& bytes, size_t& position) {
  const size_t colon = bytes.find(':', position);
  const size_t length = std::stoul(bytes.substr(position, colon - position));
  position = colon + 1 + length;
  return bytes.substr(colon + 1, length);
}

Facts unpack(const std::string& bytes) {
  Facts facts;
  for (size_t position = 0; position < bytes.size();) {
    std::string name = take_text(bytes, position);
    facts[std::move(name)] = take_text(bytes, position);
  }
  return facts;
}

std::string quoted(const std::optional<std::string>& line) {
  if (!line) return "nothing";
  return "'" + (line->size() > kLineShown ? line->substr(0, kLineShown) + "…" : *line) + "'";
}

std::optional<std::string> next_line(std::istringstream& text) {
  std::string line;
  if (!std::getline(text, line)) return std::nullopt;
  return line;
}

std::string difference(const std::string& name, const std::string& odd, const std::string& usual) {
  std::istringstream odd_lines(odd), usual_lines(usual);
  const bool one_line = odd.find('\n') == std::string::npos && usual.find('\n') == std::string::npos;
  for (int number = 1;; ++number) {
    const auto odd_line = next_line(odd_lines), usual_line = next_line(usual_lines);
    const bool end = !odd_line && !usual_line;  // they differ in the last line's end only
    if (odd_line == usual_line && !end) continue;
    return name + (one_line ? "" : ", line " + std::to_string(number)) + ": " + quoted(odd_line) + " instead of " +
           quoted(usual_line);
  }
}

std::string differences(const Facts& odd, const Facts& usual) {
  std::string text;
  const auto append = [&](const std::string& line) { text += (text.empty() ? "" : "; ") + line; };
  for (const auto& [name, value] : usual) {
    const auto found = odd.find(name);
    if (found == odd.end()) {
      append(name + ": absent instead of " + quoted(value.substr(0, value.find('\n'))));
    } else if (found->second != value) {
      append(difference(name, found->second, value));
    }
  }
  for (const auto& [name, value] : odd) {
    if (!usual.contains(name)) append(name + ": " + quoted(value.substr(0, value.find('\n'))) + " instead of absent");
  }
  return text.empty() ? "the order of what was compared" : text;
}

// The lowest rank of the largest group of equal ranks.
size_t usual_rank(const std::vector<std::string>& packed) {
  const auto group_size = [&](size_t r) { return std::ranges::count(packed, packed[r]); };
  size_t best = 0;
  for (size_t r = 1; r < packed.size(); ++r) {
    if (group_size(r) > group_size(best)) best = r;
  }
  return best;
}

std::string disagreement(const std::vector<std::string>& packed) {
  const size_t usual = usual_rank(packed);
  const Facts usual_facts = unpack(packed[usual]);
  const std::string others = packed.size() == 2 ? "rank " + std::to_string(usual) : "the other ranks";
  std::string text;
  size_t odd_ranks = 0;
  for (size_t r = 0; r < packed.size(); ++r) {
    if (packed[r] == packed[usual] || ++odd_ranks > kRanksShown) continue;
    text += (text.empty() ? "rank " : "\nrank ") + std::to_string(r) + " differs from " + others + ": " +
            differences(unpack(packed[r]), usual_facts);
  }
  if (odd_ranks == kRanksShown + 1) text += "\nand so does 1 more rank";
  if (odd_ranks > kRanksShown + 1) text += "\nand so do " + std::to_string(odd_ranks - kRanksShown) + " more ranks";
  return text;
}

}  // namespace

void agree(RankGroup& group, const std::vector<Fact>& facts) {
  const std::string mine = pack(facts);
  const std::vector<std::string> hashes = group.all_gather_bytes(hash128_hex(mine));
  if (std::ranges::adjacent_find(hashes, std::not_equal_to{}) == hashes.end()) return;
  throw Error(ExitCode::kRanksDisagree, disagreement(group.all_gather_bytes(mine)));
}

}  // namespace convoy
