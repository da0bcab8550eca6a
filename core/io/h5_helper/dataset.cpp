#include "core/io/h5_helper/dataset.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <optional>

#include "core/base/error.h"
#include "core/io/byte_reader.h"
#include "core/io/dims.h"
#include "core/io/h5_helper/attributes.h"

namespace convoy::h5 {
namespace {

constexpr int64_t kSlabBytes = int64_t{4} << 20;

enum class Elements { kNumbers, kBfloat16 };  // the latter as bits that HDF5 has no type for

bool says_bfloat16(hid_t dataset, const std::string& path, int64_t file_bytes) {
  const std::vector<Hdf5Attribute> attributes = read_attributes(dataset, path, file_bytes);
  const auto dtype = std::ranges::find(attributes, "dtype", &Hdf5Attribute::name);
  return dtype != attributes.end() && !dtype->list && dtype->texts[0] == "bfloat16";
}

Elements elements_of(hid_t dataset, hid_t type, const std::string& path, int64_t file_bytes) {
  const size_t size = ::H5Tget_size(type);
  const H5T_class_t kind = ::H5Tget_class(type);
  if (size == 2 && (kind == H5T_INTEGER || kind == H5T_OPAQUE) && says_bfloat16(dataset, path, file_bytes))
    return Elements::kBfloat16;
  const bool is_number = (kind == H5T_FLOAT && size >= 2) || kind == H5T_INTEGER;
  if (!is_number || size > 8 || !std::has_single_bit(size))
    bad_data(path, "expected floating-point numbers or integers of at most 8 bytes, found another type");
  return Elements::kNumbers;
}

std::vector<int64_t> dims_of(hid_t dataset, const std::string& path) {
  const Id space(::H5Dget_space(dataset), path, "has no shape");
  if (::H5Sget_simple_extent_type(space.get()) == H5S_NULL) bad_data(path, "expected elements, found a null space");
  const int rank = check(::H5Sget_simple_extent_ndims(space.get()), path, "has no shape");
  std::vector<hsize_t> extents(static_cast<size_t>(rank));
  check(::H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr), path, "has no shape");
  std::vector<int64_t> dims;
  for (const hsize_t extent : extents) {
    if (extent > hsize_t{INT64_MAX}) bad_data(path, "a dimension is larger than any file");
    dims.push_back(static_cast<int64_t>(extent));
  }
  return dims;
}

void require_known_filters(hid_t properties, const std::string& path) {
  const int count = check(::H5Pget_nfilters(properties), path, "has no layout");
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0;
    size_t values = 0;
    const H5Z_filter_t filter =
        ::H5Pget_filter2(properties, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, nullptr);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
      bad_data(path, "expected the filters deflate, shuffle or fletcher32, found number " + std::to_string(filter));
  }
}

}  // namespace

struct DatasetReader::Layout {
  Elements elements = Elements::kNumbers;
  std::vector<int64_t> dims;
  int64_t count = 0;       // elements
  int64_t chunk_rows = 1;  // rows, of the first dimension, that are stored together
};

// Of one that may be read: everything that leads out of the file or to more than is in it is refused here.
DatasetReader::Layout DatasetReader::layout_of(hid_t dataset, const std::string& path) const {
  const Id properties(::H5Dget_create_plist(dataset), path, "has no layout");
  const H5D_layout_t layout = ::H5Pget_layout(properties.get());
  if (layout == H5D_VIRTUAL) bad_data(path, "expected elements, found a virtual data set, of other files");
  if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
    bad_data(path, "expected elements in one piece or in chunks, found another layout");
  if (check(::H5Pget_external_count(properties.get()), path, "has no layout") > 0)
    bad_data(path, "expected elements, found external storage, in another file");
  require_known_filters(properties.get(), path);

  const Id type(::H5Dget_type(dataset), path, "has no type");
  Layout result;
  result.elements = elements_of(dataset, type.get(), path, file_bytes_);
  result.dims = dims_of(dataset, path);
  const auto size = static_cast<int64_t>(::H5Tget_size(type.get()));
  const std::optional<int64_t> bytes = dims_product(size, result.dims);
  if (!bytes || *bytes > INT64_MAX / 16)  // also as f32
    bad_data(path, dims_text(result.dims) + " elements are more than any file holds");
  result.count = *bytes / size;
  if (layout == H5D_CHUNKED) {
    std::vector<hsize_t> chunk(std::max<size_t>(result.dims.size(), 1));
    check(::H5Pget_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data()), path, "has no chunks");
    const auto chunk_bytes =
        std::accumulate(chunk.begin(), chunk.end(), static_cast<double>(size),
                        [](double product, hsize_t dim) { return product * static_cast<double>(dim); });
    if (chunk_bytes > 4e9 || !plausible_inflation(file_bytes_, static_cast<int64_t>(chunk_bytes)))
      bad_data(path, "chunks larger than can be in the file");
    result.chunk_rows = static_cast<int64_t>(chunk[0]);
    if (!plausible_inflation(file_bytes_, element_bytes_ + *bytes))
      bad_data(path, std::to_string(file_bytes_) + " bytes of file cannot be trusted to hold " +
                         dims_text(result.dims) + " elements");
  } else {
    const auto stored = static_cast<int64_t>(::H5Dget_storage_size(dataset));
    const haddr_t begin = ::H5Dget_offset(dataset);
    const bool outside =
        layout == H5D_CONTIGUOUS && *bytes > 0 &&
        (begin == HADDR_UNDEF || *bytes > file_bytes_ || begin > static_cast<haddr_t>(file_bytes_ - *bytes));
    if (outside || stored < *bytes || element_bytes_ + *bytes > file_bytes_)
      bad_data(path, "expected " + std::to_string(*bytes) + " bytes of elements in the file of " +
                         std::to_string(file_bytes_) + ", which are not there");
  }
  return result;
}

void DatasetReader::read(hid_t dataset, const std::string& path) {
  const Layout layout = layout_of(dataset, path);
  const Id type(::H5Dget_type(dataset), path, "has no type");
  element_bytes_ += layout.count * static_cast<int64_t>(::H5Tget_size(type.get()));
  out_.dataset(path, layout.dims);
  if (layout.count > 0) read_elements(dataset, layout, path);
}

// In slabs of whole chunks, so that no chunk is unpacked twice and there is always something to say.
void DatasetReader::read_elements(hid_t dataset, const Layout& layout, const std::string& path) {
  const bool is_bits = layout.elements == Elements::kBfloat16;
  const Id file_space(::H5Dget_space(dataset), path, "has no shape");
  const int64_t rows = layout.dims.empty() ? 1 : layout.dims[0], row = layout.count / rows;
  const int64_t fitting = std::max<int64_t>(kSlabBytes / static_cast<int64_t>(sizeof(float)) / row, 1);
  const int64_t chunks = std::max<int64_t>(fitting / layout.chunk_rows, 1);
  const int64_t step = std::min(rows, chunks * layout.chunk_rows);
  const Id memory_type(is_bits ? ::H5Dget_type(dataset) : ::H5Tcopy(H5T_NATIVE_FLOAT), path, "no type");
  std::vector<float> values(static_cast<size_t>(step * row));
  std::vector<uint16_t> bits(is_bits ? values.size() : 0);
  std::vector<hsize_t> start(layout.dims.size()), count(layout.dims.begin(), layout.dims.end());
  for (int64_t at = 0; at < rows; at += step) {
    const auto part = static_cast<size_t>(std::min(step, rows - at) * row);
    if (!layout.dims.empty()) {
      start[0] = static_cast<hsize_t>(at);
      count[0] = part / static_cast<size_t>(row);
      check(::H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr), path,
            "cannot be read");
    }
    const hsize_t elements = part;
    const Id memory_space(::H5Screate_simple(1, &elements, nullptr), path, "cannot be read");
    void* buffer = is_bits ? static_cast<void*>(bits.data()) : values.data();
    check(::H5Dread(dataset, memory_type.get(), memory_space.get(), file_space.get(), H5P_DEFAULT, buffer), path,
          "cannot be read");
    if (is_bits) {
      std::ranges::transform(bits, values.begin(),
                             [](uint16_t high) { return std::bit_cast<float>(uint32_t{high} << 16); });
    }
    out_.elements(std::span(values).first(part));
  }
}

void write_dataset(hid_t file, const HostTensor& tensor) {
  const std::string& path = tensor.name;
  const std::vector<hsize_t> dims(tensor.dims.begin(), tensor.dims.end());
  const Id space(
      dims.empty() ? ::H5Screate(H5S_SCALAR) : ::H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
      path, "no shape");
  const Id properties(::H5Pcreate(H5P_DATASET_CREATE), path, "no properties");
  check(::H5Pset_obj_track_times(properties.get(), false), path, "no properties");  // the same bytes every time
  const Id dataset(
      ::H5Dcreate2(file, path.c_str(), H5T_IEEE_F32LE, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT), path,
      "cannot be made");
  check(::H5Dwrite(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.values.data()), path,
        "cannot be written");
}

}  // namespace convoy::h5
