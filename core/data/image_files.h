// Images that are files of their own, with labels: what a folder is and what a manifest lists.
#pragma once

#include "core/data/image_store.h"
#include "core/data/name_list.h"

namespace convoy {

inline constexpr int64_t kMaxImageFileBytes = int64_t{1} << 30;

class ImageFiles final : public ImageStore {
 public:
  // Paths are relative to `root`; absolute ones stand for themselves.
  ImageFiles(std::string root, std::vector<std::string> class_names);
  void add(std::string_view path, int label);  // before anybody reads

  int64_t size() const override { return paths_.size(); }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  int label(int64_t i) const override { return labels_[static_cast<size_t>(i)]; }
  std::string name(int64_t i) const override { return std::string(paths_[i]); }  // without the root
  // One open and one read.  Errors name the whole path.
  std::span<const std::byte> file(int64_t i, std::vector<std::byte>& scratch) const override;
  // Of paths, sizes and labels: looks up the size of every file.  A missing file counts, as one of another size than
  // any.
  std::string fingerprint() const override;

 private:
  std::string full_path(int64_t i) const;

  const std::string root_;
  const std::vector<std::string> class_names_;
  NameList paths_;
  std::vector<int> labels_;
};

}  // namespace convoy
