#include "core/data/tar_shards.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <unordered_map>
#include <utility>

#include "core/base/error.h"
#include "core/base/in_order.h"
#include "core/base/threads.h"
#include "core/data/directory.h"
#include "core/data/image_folder.h"
#include "core/data/store_hash.h"
#include "core/io/json_fields.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxLabelBytes = 1 << 20;  // of a .cls or .json
constexpr int64_t kMaxShards = 1'000'000;

// "a/b.c/0017.seg.png" is of "a/b.c/0017".
std::string key_of(const std::string& member) {
  const size_t slash = member.rfind('/');
  return member.substr(0, member.find('.', slash == std::string::npos ? 0 : slash + 1));
}

struct Parts {
  const TarMember *image = nullptr, *number = nullptr, *json = nullptr;
};

void set(const TarMember*& part, const TarMember& member, const std::string& shard) {
  if (part != nullptr)
    bad_data(shard + ": " + member.name, "expected one such member of a sample, found " + part->name + " too");
  part = &member;
}

// By key, in the order in which the archive has them.
std::vector<Parts> samples_of(const std::vector<TarMember>& members, const std::string& shard) {
  std::vector<Parts> samples;
  std::unordered_map<std::string, size_t> places;
  for (const TarMember& member : members) {
    const std::string key = key_of(member.name), extension = member.name.substr(key.size());
    const bool is_image = is_image_name(extension) && extension.rfind('.') == 0;
    if (!is_image && extension != ".cls" && extension != ".json") continue;
    const auto [place, is_new] = places.emplace(key, samples.size());
    if (is_new) samples.emplace_back();
    Parts& sample = samples[place->second];
    set(is_image ? sample.image : extension == ".cls" ? sample.number : sample.json, member, shard);
  }
  return samples;
}

std::string_view text_of(const TarMember& member, const MappedFile& shard) {
  if (member.size > kMaxLabelBytes)
    bad_data(shard.path() + ": " + member.name,
             "expected a label, found a file of " + std::to_string(member.size) + " bytes");
  const auto bytes = shard.bytes().subspan(static_cast<size_t>(member.offset), static_cast<size_t>(member.size));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string label_of(const Parts& sample, const MappedFile& shard) {
  const TarMember* member = sample.number != nullptr ? sample.number : sample.json;
  if (member == nullptr)
    bad_data(shard.path() + ": " + sample.image->name, "expected a label in a .cls or .json beside it, found none");
  const std::string where = shard.path() + ": " + member->name;
  const std::string_view text = text_of(*member, shard);
  if (member == sample.json) return parse_json_fields(text, where)["label"];
  const size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  const std::string label(text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin));
  if (label.find_first_not_of("0123456789") != std::string::npos)
    bad_data(where, "expected an integer, found '" + label + "'");
  return label;
}

// The number in `text`, which is all of it; < 0 if there is none.
int64_t number_in(std::string_view text) {
  int64_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.starts_with('-') ? number : -1;
}

std::vector<std::string> tars_in(const std::string& directory) {
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : entries_of(directory))
    if (entry.path().string().ends_with(".tar")) paths.push_back(entry.path().string());
  if (paths.empty()) throw Error(ExitCode::kNoInput, directory + ": expected .tar files, found none");
  return paths;
}

}  // namespace

std::vector<std::string> shard_paths(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return tars_in(path);
  const size_t open = path.find('{'), dots = path.find("..", open), close = path.find('}', dots);
  if (open == std::string::npos || fs::exists(path, ignored)) return {path};
  const bool is_range = dots != std::string::npos && close != std::string::npos;
  const std::string first = is_range ? path.substr(open + 1, dots - open - 1) : "";
  const std::string last = is_range ? path.substr(dots + 2, close - dots - 2) : "";
  const int64_t begin = number_in(first), end = number_in(last);
  if (begin < 0 || end < begin || end - begin >= kMaxShards || path.find('{', open + 1) != std::string::npos)
    bad_data(path, "expected one range {000..011} of numbers, at most a million of them");
  std::vector<std::string> paths;
  for (int64_t number = begin; number <= end; ++number) {
    std::string digits = std::to_string(number);
    digits.insert(0, first.size() - std::min(first.size(), digits.size()), '0');
    paths.push_back(path.substr(0, open) + digits + path.substr(close + 1));
  }
  return paths;
}

TarShards::TarShards(const std::vector<std::string>& paths) {
  struct Indexed {
    std::vector<TarMember> members;
    MappedFile shard;
  };
  const auto index = [&](int64_t i, int) {
    const std::string& path = paths[static_cast<size_t>(i)];
    return Indexed{index_tar(path), MappedFile(path)};
  };
  const auto count = static_cast<int64_t>(paths.size());
  const int threads = static_cast<int>(std::min<int64_t>(count, omp_get_max_threads()));
  LabelTable labels;
  in_order(count, threads, index, [&](int64_t, Indexed indexed) {
    shards_.push_back(std::move(indexed.shard));
    add_samples(indexed.members, labels);
  });
  if (samples_.empty()) bad_data(paths.front(), "expected samples (KEY.jpg and KEY.cls, …), found none");
  class_names_ = labels.class_names();
  labels_ = labels.labels();
}

void TarShards::add_samples(const std::vector<TarMember>& members, LabelTable& labels) {
  const MappedFile& shard = shards_.back();
  const std::string& path = shard.path();
  for (const TarMember& member : members)
    if (member.offset + member.size > static_cast<int64_t>(shard.bytes().size()))
      bad_data(path, "became shorter while it was read");
  for (const Parts& sample : samples_of(members, path)) {
    if (sample.image == nullptr)
      bad_data(path + ": " + (sample.number != nullptr ? sample.number : sample.json)->name,
               "expected an image beside it, found none");
    labels.add(label_of(sample, shard), path + ": " + sample.image->name);
    samples_.push_back({static_cast<int>(shards_.size()) - 1, sample.image->offset, sample.image->size});
    names_.add(sample.image->name);
  }
}

std::string TarShards::name(int64_t i) const {
  const MappedFile& shard = shards_[static_cast<size_t>(samples_[static_cast<size_t>(i)].shard)];
  return fs::path(shard.path()).filename().string() + ": " + std::string(names_[i]);
}

std::span<const std::byte> TarShards::file(int64_t i, std::vector<std::byte>&) const {
  const Sample& sample = samples_[static_cast<size_t>(i)];
  return shards_[static_cast<size_t>(sample.shard)].bytes().subspan(static_cast<size_t>(sample.offset),
                                                                    static_cast<size_t>(sample.size));
}

void TarShards::will_read(int64_t i) const {
  const Sample& sample = samples_[static_cast<size_t>(i)];
  shards_[static_cast<size_t>(sample.shard)].will_read(sample.offset, sample.size);
}

std::string TarShards::fingerprint() const {
  Hash128 hash;
  for (int64_t i = 0; i < size(); ++i) hash_image(hash, names_[i], samples_[static_cast<size_t>(i)].size, label(i));
  return hash.hex();
}

}  // namespace convoy
