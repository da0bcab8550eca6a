// A directory with one directory of images per class: ROOT/CLASS/…/IMAGE.jpg, as torchvision's ImageFolder reads it.
//
// Classes are sorted by name, images within one by path, both byte by byte.  Images are what ends in .jpg, .jpeg, .png,
// .ppm or .pgm, in any case.  Files beside the classes, other files and hidden ones are no part of it.  Symbolic links
// are followed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/data/image_store.h"

namespace convoy {

// Of a root with train/ and perhaps one of val/, valid/, validation/ and test/ (the first of these that is there), all
// images of both.  Throws Error: kNoInput where no directory can be read, kBadData for no class at all, a class without
// an image, a class for validation only, links in a circle.
std::unique_ptr<ImageStore> open_image_folder(const std::string& root);

// The same in two; a root without train/ is all for training.
ImageSplits open_split_folder(const std::string& root);

// The paths of all images in `root` and below, whatever its directories mean, sorted.  Throws Error: kNoInput where a
// directory cannot be read, kBadData for links in a circle.
std::vector<std::string> images_below(const std::string& root);

bool is_image_name(std::string_view name);  // by its extension

}  // namespace convoy
