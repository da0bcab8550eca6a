// Images and labels that NumPy saved: one .npz with both splits, or a .npy each for images and labels.
//
// Images are [n,h,w] or [n,h,w,c] of uint8; labels are [n] or [n,1] of any type of whole numbers.
// All functions throw Error: kNoInput for a missing file, kBadData for one that is not what it claims to be.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/data/dataset.h"

namespace convoy {

// x_train, y_train, x_test and y_test in one archive, as numpy.savez or savez_compressed of Keras' mnist.npz writes it.
std::unique_ptr<Dataset> open_npz(const std::string& path, Split split, int classes, std::optional<int> ignored = {});
std::unique_ptr<Dataset> open_npy(const std::string& images_path, const std::string& labels_path, int classes,
                                  std::optional<int> ignored = {});

// Of the images, without reading them.
ImagesHeader read_npz_header(const std::string& path, Split split);
ImagesHeader read_npy_header(const std::string& images_path);

}  // namespace convoy
