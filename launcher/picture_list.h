// What `convoy predict` is asked about: image files, directories of them, lists, and arrays of NumPy, in order.
//
//   IMAGE      a file that decodes (core/image/decoder.h), whatever its name
//   DIRECTORY  its images and those below, sorted by path; see core/data/image_folder.h for what an image is called
//   LIST.txt   paths, one a line, relative to the working directory; empty lines count for nothing
//   ARRAY.npy  [n,H,W,C], or [n,H,W] for one channel: u8 pixels, or f32 that the first layer reads as they are
//
// Images are cropped and resized as in evaluation; arrays have the size of the network's images.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/data/image_dataset.h"

namespace convoy {

class ImageFiles;

// Threads: after construction, every method may be called by any thread at any time.
class PictureList {
 public:
  // `sample`: [1,H,W,C].  Throws Error: kNoInput for a word that names nothing, or for no image at all; kBadData for an
  // array of another shape, a list or an array that is damaged, f32 beside anything else.
  PictureList(const std::vector<std::string>& words, const Shape& sample, const ImageCrop& crop);
  ~PictureList();

  int64_t size() const { return size_; }
  bool floats() const { return floats_; }             // elements are f32, not u8
  int64_t bytes_each() const { return bytes_each_; }  // of one image as read() gives it
  std::string name(int64_t i) const;                  // its path; of an array "x.npy[7]"
  // Throws Error naming the image where it cannot be had.
  void read(int64_t i, std::span<std::byte> to) const;
  // Equal for equal names in equal order.
  std::string fingerprint() const;

 private:
  struct Array {
    InputFile file;
    int64_t offset;  // of its first image, in bytes
  };
  // Neighbours of one kind.
  struct Part {
    int64_t first = 0;             // number of its first image in the list
    int64_t first_file = 0;        // of files: likewise in files_
    std::unique_ptr<Array> array;  // null: files
  };

  void add(const std::string& word);
  void add_file(std::string_view path);
  void add_list(const std::string& path);
  void add_array(const std::string& path);
  const Part& part_of(int64_t i) const;

  const Shape sample_;
  std::shared_ptr<ImageFiles> files_;
  std::unique_ptr<ImageDataset> images_;
  std::vector<Part> parts_;
  int64_t size_ = 0, bytes_each_ = 0;
  bool floats_ = false;
};

}  // namespace convoy
