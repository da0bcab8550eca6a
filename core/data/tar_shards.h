// Tar archives of samples, as WebDataset writes them.
//
// Members whose names agree up to the first dot of the last part are one sample: KEY.jpg (or .jpeg, .png, .ppm, .pgm),
// with its label in KEY.cls, an integer as text, or in KEY.json, field "label", a number or a name (label_table.h);
// KEY.cls counts where both are there.  Other members are no part of it.
// Each archive is indexed once, when it is opened, by reading its headers, several at a time; images are then views of
// the mapped file.
#pragma once

#include "core/base/mapped_file.h"
#include "core/data/image_store.h"
#include "core/data/label_table.h"
#include "core/data/name_list.h"
#include "core/io/tar.h"

namespace convoy {

// What `path` stands for: one file; the *.tar files of a directory; of DIR/a-{000..011}.tar, twelve files.  In order of
// names or numbers.  Throws Error: kNoInput for a directory without any, kBadData for braces that are no range.
std::vector<std::string> shard_paths(const std::string& path);

class TarShards final : public ImageStore {
 public:
  // Throws Error(kNoInput, kBadData) naming shard and member: a sample without a label or image, or with two.
  explicit TarShards(const std::vector<std::string>& paths);

  int64_t size() const override { return static_cast<int64_t>(samples_.size()); }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  int label(int64_t i) const override { return labels_[static_cast<size_t>(i)]; }
  std::string name(int64_t i) const override;  // "shard-003.tar: a/0017.jpg"
  std::span<const std::byte> file(int64_t i, std::vector<std::byte>& scratch) const override;
  void will_read(int64_t i) const override;
  // Of member names, sizes and labels, not of what the shards are called.
  std::string fingerprint() const override;

 private:
  struct Sample {
    int shard = 0;
    int64_t offset = 0, size = 0;
  };

  void add_samples(const std::vector<TarMember>& members, LabelTable& labels);  // of the last shard

  std::vector<MappedFile> shards_;
  std::vector<std::string> class_names_;
  std::vector<Sample> samples_;  // the images
  std::vector<int> labels_;
  NameList names_;
};

}  // namespace convoy
