#include "core/data/image_manifest.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/data/image_files.h"
#include "core/data/label_table.h"
#include "core/io/csv.h"
#include "core/io/json_fields.h"

namespace convoy {
namespace {

constexpr int64_t kMaxManifestBytes = int64_t{4} << 30;

struct Manifest {
  NameList paths;
  LabelTable labels;
  std::vector<std::string> split_names;  // in the order met
  std::vector<int> splits;               // of split_names, by image; empty without this field
};

// Fields by name; `where` is "FILE:LINE".
using AddRow = std::function<void(std::map<std::string, std::string>& fields, const std::string& where)>;

[[noreturn]] void bad(const std::string& where, const std::string& what) {
  throw Error(ExitCode::kBadData, where + ": " + what);
}

void read_csv(std::string_view text, const std::string& name, const AddRow& add) {
  CsvReader reader(text, name);
  std::vector<std::string> columns, row;
  if (!reader.next(columns)) bad(name, "expected a line that names the columns, found nothing");
  for (const char* needed : {"path", "label"})
    if (std::ranges::count(columns, needed) != 1)
      bad(reader.where(), std::string("expected one column '") + needed + "' in the first line, found " +
                              std::to_string(std::ranges::count(columns, needed)));
  if (std::ranges::count(columns, "split") > 1) bad(reader.where(), "expected one column 'split', found several");
  while (reader.next(row)) {
    if (row.size() != columns.size())
      bad(reader.where(),
          "expected " + std::to_string(columns.size()) + " fields, found " + std::to_string(row.size()));
    std::map<std::string, std::string> fields;
    for (size_t i = 0; i < row.size(); ++i) fields[columns[i]] = row[i];
    add(fields, reader.where());
  }
}

void read_jsonl(std::string_view text, const std::string& name, const AddRow& add) {
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view object = text.substr(0, end);
    const std::string where = name + ":" + std::to_string(line);
    if (object.find_first_not_of(" \t\r") != std::string_view::npos) {
      std::map<std::string, std::string> fields = parse_json_fields(object, where);
      for (const char* needed : {"path", "label"})
        if (!fields.contains(needed))
          bad(where, std::string("expected a field '") + needed + "', a text or an integer");
      add(fields, where);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void require_split(const std::string& split, const std::string& where) {
  if (split == "train" || std::ranges::count(kValidationNames, split) == 1) return;
  bad(where, "expected split train, val, valid, validation or test, found '" + split + "'");
}

Manifest read_manifest(const std::string& path) {
  const std::vector<std::byte> bytes = read_file(path, kMaxManifestBytes);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Manifest manifest;
  const AddRow add = [&](std::map<std::string, std::string>& fields, const std::string& where) {
    const std::string &image = fields["path"], &split = fields["split"];
    if (image.empty() || image.find('\0') != std::string::npos) bad(where, "expected a path");
    manifest.labels.add(fields["label"], where);
    manifest.paths.add(image);
    if (split.empty() != manifest.splits.empty() && manifest.paths.size() > 1)
      bad(where, "expected a split in every line or in none");
    if (split.empty()) return;
    require_split(split, where);
    const auto found = std::ranges::find(manifest.split_names, split);
    manifest.splits.push_back(static_cast<int>(found - manifest.split_names.begin()));
    if (found == manifest.split_names.end()) manifest.split_names.push_back(split);
  };
  path.ends_with(".csv") ? read_csv(text, path, add) : read_jsonl(text, path, add);
  if (manifest.paths.size() == 0) bad(path, "expected images, found none");
  return manifest;
}

// The images of `split`, or all.
std::unique_ptr<ImageFiles> make_store(const Manifest& manifest, const std::string& path,
                                       const std::optional<std::string>& split) {
  const std::string root = std::filesystem::path(path).parent_path().string();
  auto store = std::make_unique<ImageFiles>(root, manifest.labels.class_names());
  const std::vector<int> labels = manifest.labels.labels();
  for (size_t i = 0; i < labels.size(); ++i) {
    if (split && manifest.split_names[static_cast<size_t>(manifest.splits[i])] != *split) continue;
    store->add(manifest.paths[static_cast<int64_t>(i)], labels[i]);
  }
  return store;
}

}  // namespace

bool is_manifest_name(std::string_view path) { return path.ends_with(".csv") || path.ends_with(".jsonl"); }

std::unique_ptr<ImageStore> open_image_manifest(const std::string& path) {
  return make_store(read_manifest(path), path, std::nullopt);
}

ImageSplits open_split_manifest(const std::string& path) {
  const Manifest manifest = read_manifest(path);
  if (manifest.splits.empty()) return {make_store(manifest, path, std::nullopt), nullptr};
  const auto has = [&](std::string_view split) { return std::ranges::count(manifest.split_names, split) == 1; };
  if (!has("train")) bad(path, "expected images of split train, found none");
  ImageSplits splits = {make_store(manifest, path, "train"), nullptr};
  const auto validation = std::ranges::find_if(kValidationNames, has);
  if (validation != kValidationNames.end()) splits.validation = make_store(manifest, path, std::string(*validation));
  return splits;
}

}  // namespace convoy
