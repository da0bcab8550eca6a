// HDF5 files, read and written by the program convoy-h5: this process never runs libhdf5.
//
// convoy-h5 is a short-lived child behind Landlock, seccomp and limits (SECURITY.md).  It gets the open file, and says
// through a line what is in it; nothing that it says is trusted before it is checked.  It refuses external, soft and
// second hard links, external storage, virtual data sets, filters other than deflate, shuffle and fletcher32, and
// types other than numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/io/host_tensor.h"

namespace convoy {

// Of a group: one text, or a list of texts (which may be empty).
struct Hdf5Attribute {
  std::string name;
  bool list = false;
  std::vector<std::string> texts;
};

struct Hdf5Group {
  std::string path;                       // "/" or "/model_weights/conv2d"
  std::vector<Hdf5Attribute> attributes;  // that are texts; others are left out

  const Hdf5Attribute* find(const std::string& name) const;  // null: none
};

struct Hdf5File {
  std::string path;
  std::vector<Hdf5Group> groups;     // the root first; parents before children
  std::vector<HostTensor> datasets;  // `name` is the whole path

  const Hdf5Group* group(const std::string& path) const;     // null: none
  const HostTensor* dataset(const std::string& path) const;  // null: none
};

struct Hdf5Options {
  bool unsafe = false;       // --unsafe_import: read even where the kernel cannot lock convoy-h5 up
  int patience_seconds = 4;  // after which convoy-h5 is ended, silent or slower than any disk
  std::string program = {};  // convoy-h5; "": the one beside this program or in ../libexec/convoy
};

// Throws Error: kNoInput where there is no file, kBadData naming file and object for everything that is wrong with it
// or that convoy-h5 does, a crash, silence and slowness included; kUnavailable where convoy-h5 is missing or cannot be
// locked up.
Hdf5File read_hdf5(const std::string& path, const Hdf5Options& options = {});

// Of bytes from elsewhere, such as a member of an archive; `name` is for messages.
Hdf5File read_hdf5(std::span<const uint8_t> contents, const std::string& name, const Hdf5Options& options = {});

// Writes f32 datasets and text attributes as h5py does by default (superblock 0, contiguous, one text of variable and a
// list of fixed length), atomically.  Groups above a dataset need not be listed.  Throws Error: kCannotCreate, kIo,
// kUnavailable, kBadData for what cannot be written, as an attribute of more than 64 KiB.
void write_hdf5(const std::string& path, const Hdf5File& file, const Hdf5Options& options = {});

// The same into memory; file.path is for messages.
std::vector<uint8_t> hdf5_bytes(const Hdf5File& file, const Hdf5Options& options = {});

// Whether these bytes begin an HDF5 file.
bool starts_like_hdf5(std::span<const std::byte> beginning);

}  // namespace convoy
