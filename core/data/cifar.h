// The binary version of CIFAR-10 and CIFAR-100: https://www.cs.toronto.edu/~kriz/cifar.html.
//
// A record is the label (CIFAR-100: the coarse one, which is not used, then the fine one) and 32x32 pixels, all red,
// then all green, then all blue ones.  Files may hold any whole number of records.
#pragma once

#include <memory>
#include <string>

#include "core/data/dataset.h"

namespace convoy {

// `path` is a directory with data_batch_1.bin and on, and test_batch.bin (CIFAR-100: train.bin, test.bin); or the one
// above it, with cifar-10-batches-bin (cifar-100-binary) in it; or the .tar.gz as downloaded, or its .tar.
// `classes` is 10 or 100.  Throw Error: kNoInput for missing files, kBadData for ones that are not what they claim to
// be, kConfig for other numbers of classes.
std::unique_ptr<Dataset> open_cifar(const std::string& path, Split split, int classes);

// Without reading images; an archive that is gzipped is inflated for it.
ImagesHeader read_cifar_header(const std::string& path, Split split, int classes);

}  // namespace convoy
