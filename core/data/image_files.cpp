#include "core/data/image_files.h"

#include <filesystem>
#include <utility>

#include "core/base/file.h"
#include "core/base/threads.h"
#include "core/data/store_hash.h"

namespace convoy {

ImageFiles::ImageFiles(std::string root, std::vector<std::string> class_names)
    : root_(std::move(root)), class_names_(std::move(class_names)) {}

void ImageFiles::add(std::string_view path, int label) {
  paths_.add(path);
  labels_.push_back(label);
}

std::string ImageFiles::full_path(int64_t i) const { return (std::filesystem::path(root_) / paths_[i]).string(); }

std::span<const std::byte> ImageFiles::file(int64_t i, std::vector<std::byte>& scratch) const {
  read_file(full_path(i), kMaxImageFileBytes, scratch);
  return scratch;
}

std::string ImageFiles::fingerprint() const {
  constexpr int64_t kGrain = 256;  // files a thread, at least
  std::vector<int64_t> bytes(labels_.size());
  parallel_for(size(), kGrain, [&](int64_t begin, int64_t end) {
    std::error_code missing;  // file_size() is then -1
    for (int64_t i = begin; i < end; ++i)
      bytes[static_cast<size_t>(i)] = static_cast<int64_t>(std::filesystem::file_size(full_path(i), missing));
  });
  Hash128 hash;
  for (int64_t i = 0; i < size(); ++i) hash_image(hash, paths_[i], bytes[static_cast<size_t>(i)], label(i));
  return hash.hex();
}

}  // namespace convoy
