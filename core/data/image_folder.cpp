#include "core/data/image_folder.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <utility>

#include <sys/stat.h>

#include "core/base/error.h"
#include "core/data/directory.h"
#include "core/data/image_files.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using FileId = std::pair<dev_t, ino_t>;

bool is_directory(const fs::directory_entry& entry) {
  std::error_code error;
  return entry.is_directory(error);  // a link to nothing is none
}

// `directory` may be "".
std::string joined(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

// Appends the images in `directory` and below, relative to `root`.  `above`: the directories that it is in.
void find_images(const std::string& root, const std::string& directory, std::vector<FileId>& above,
                 std::vector<std::string>& found) {
  const std::string path = directory.empty() ? root : root + "/" + directory;
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) throw Error(ExitCode::kNoInput, path + ": cannot read the directory");
  const FileId id = {status.st_dev, status.st_ino};
  if (std::ranges::find(above, id) != above.end())
    throw Error(ExitCode::kBadData, path + ": expected images, found a symbolic link to a directory that it is in");
  above.push_back(id);
  for (const fs::directory_entry& entry : entries_of(path)) {
    const std::string name = entry.path().filename().string(), relative = joined(directory, name);
    if (is_directory(entry)) {
      find_images(root, relative, above, found);
    } else if (is_image_name(name)) {
      found.push_back(relative);
    }
  }
  above.pop_back();
}

std::vector<std::string> class_directories(const std::string& root) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : entries_of(root))
    if (is_directory(entry)) names.push_back(entry.path().filename().string());
  if (names.empty()) throw Error(ExitCode::kBadData, root + ": expected one directory per class, found none");
  return names;
}

// `prefix` is "" or ends in '/'.
std::string directory_of(const std::string& root, const std::string& prefix) {
  return prefix.empty() ? root : root + "/" + prefix;
}

// Adds the images of root/PREFIX CLASS/….
void add_classes(ImageFiles& store, const std::string& root, const std::string& prefix) {
  const std::vector<std::string>& classes = store.class_names();
  for (const std::string& name : class_directories(directory_of(root, prefix))) {
    const std::string directory = prefix + name, path = root + "/" + directory;
    const auto label = std::ranges::find(classes, name);
    if (label == classes.end())
      throw Error(ExitCode::kBadData, path + ": expected a class of the training images, found another");
    std::vector<FileId> above;
    std::vector<std::string> images;
    find_images(root, directory, above, images);
    if (images.empty())
      throw Error(ExitCode::kBadData, path + ": expected images (.jpg, .jpeg, .png, .ppm or .pgm), found none");
    std::ranges::sort(images);
    for (const std::string& image : images) store.add(image, static_cast<int>(label - classes.begin()));
  }
}

bool has_directory(const std::string& root, std::string_view name) {
  std::error_code ignored;
  return fs::is_directory(fs::path(root) / name, ignored);
}

// The one of root's directories that is for validation; "" for none.
std::string validation_of(const std::string& root) {
  const auto name = std::ranges::find_if(kValidationNames, [&](auto name) { return has_directory(root, name); });
  return name == kValidationNames.end() ? "" : std::string(*name);
}

// All images of the directories `parts` of `root`, with the labels of the first.
std::unique_ptr<ImageStore> open_parts(const std::string& root, const std::vector<std::string>& parts) {
  auto store = std::make_unique<ImageFiles>(root, class_directories(directory_of(root, parts.front())));
  for (const std::string& part : parts) add_classes(*store, root, part);
  return store;
}

}  // namespace

bool is_image_name(std::string_view name) {
  static constexpr std::array<std::string_view, 5> kExtensions = {".jpg", ".jpeg", ".png", ".ppm", ".pgm"};
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::any_of(kExtensions, [&](std::string_view extension) { return lower.ends_with(extension); });
}

std::vector<std::string> images_below(const std::string& root) {
  std::vector<FileId> above;
  std::vector<std::string> images;
  find_images(root, "", above, images);
  std::ranges::sort(images);
  for (std::string& image : images) image.insert(0, root.ends_with('/') ? root : root + "/");
  return images;
}

std::unique_ptr<ImageStore> open_image_folder(const std::string& root) {
  if (!has_directory(root, "train")) return open_parts(root, {""});
  const std::string validation = validation_of(root);
  return validation.empty() ? open_parts(root, {"train/"}) : open_parts(root, {"train/", validation + "/"});
}

ImageSplits open_split_folder(const std::string& root) {
  if (!has_directory(root, "train")) return {open_image_folder(root), nullptr};
  ImageSplits splits;
  auto train = std::make_shared<ImageFiles>(root + "/train", class_directories(root + "/train"));
  add_classes(*train, root + "/train", "");
  const std::string validation = validation_of(root);
  if (!validation.empty()) {
    auto images = std::make_shared<ImageFiles>(root + "/" + validation, train->class_names());
    add_classes(*images, root + "/" + validation, "");
    splits.validation = images;
  }
  splits.train = train;
  return splits;
}

}  // namespace convoy
