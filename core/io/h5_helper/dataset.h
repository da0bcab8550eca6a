// The elements of datasets.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/io/h5_helper/handles.h"
#include "core/io/hdf5_stream.h"

namespace convoy::h5 {

class DatasetReader {
 public:
  DatasetReader(int64_t file_bytes, Hdf5Encoder& out) : file_bytes_(file_bytes), out_(out) {}

  // Says it as f32.  Throws Error(kBadData) that begins with `path`.
  void read(hid_t dataset, const std::string& path);

 private:
  struct Layout;
  Layout layout_of(hid_t dataset, const std::string& path) const;
  void read_elements(hid_t dataset, const Layout& layout, const std::string& path);

  const int64_t file_bytes_;
  Hdf5Encoder& out_;
  int64_t element_bytes_ = 0;  // of all so far, in the file
};

void write_dataset(hid_t file, const HostTensor& tensor);

}  // namespace convoy::h5
