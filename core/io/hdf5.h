// HDF5 files, read and written by the helper program convoy-h5: this process never runs libhdf5.
//
// The helper is a short-lived child behind Landlock, seccomp and limits (docs/security.md); it sends what it read
// through a pipe, and nothing it sends is trusted before it is checked.  It refuses external and soft links, external
// storage, virtual data sets and unknown filters.
#pragma once

#include <string>
#include <vector>

#include "core/io/host_tensor.h"

namespace convoy {

// Of a group or a dataset: one text, or a list of texts (which may be empty).
struct Hdf5Attribute {
  std::string name;
  bool list = false;
  std::vector<std::string> texts;
};

struct Hdf5Group {
  std::string path;  // "/" or "/model_weights/conv2d", in the order of the file
  std::vector<Hdf5Attribute> attributes;
};

struct Hdf5File {
  std::string path;
  std::vector<Hdf5Group> groups;     // the root first; parents before children
  std::vector<HostTensor> datasets;  // `name` is the whole path

  const Hdf5Group* group(const std::string& path) const;     // null: none
  const HostTensor* dataset(const std::string& path) const;  // null: none
};
const Hdf5Attribute* find_attribute(const Hdf5Group& group, const std::string& name);

struct Hdf5Options {
  bool unsafe = false;       // --unsafe-import: read even where the kernel cannot lock the helper down
  int timeout_seconds = 60;  // without a byte from the helper
};

// Throws Error: kNoInput where there is no file, kBadData naming file and object for everything that is wrong with it
// or that the helper does, a crash and silence included; kUnavailable where the helper is missing or cannot be locked
// down.
Hdf5File read_hdf5(const std::string& path, const Hdf5Options& options = {});

// Writes f32 datasets and text attributes as h5py does by default (superblock 0, contiguous), atomically.
void write_hdf5(const std::string& path, const Hdf5File& file);

// Whether these bytes begin an HDF5 file.
bool starts_like_hdf5(const std::vector<std::byte>& beginning);

}  // namespace convoy
