#include "core/io/h5_helper/descriptor_file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

namespace convoy::h5 {
namespace {

constexpr int kFile = STDIN_FILENO;
constexpr const char* kName = "/file";  // absolute, or libhdf5 would ask where it is; never opened
constexpr haddr_t kMaxAddress = (haddr_t{1} << 62) - 1;

// A file as its driver has it: `common` first, which belongs to libhdf5.
struct DescriptorFile {
  H5FD_t common = {};
  haddr_t allocated = 0;  // bytes that libhdf5 has given a meaning
  haddr_t size = 0;       // bytes that there are
};

DescriptorFile& of(H5FD_t* file) { return *reinterpret_cast<DescriptorFile*>(file); }
const DescriptorFile& of(const H5FD_t* file) { return *reinterpret_cast<const DescriptorFile*>(file); }

bool fits(haddr_t address, size_t size) { return address <= kMaxAddress && size <= kMaxAddress - address; }

H5FD_t* open(const char*, unsigned, hid_t access, haddr_t) {
  auto* file = new DescriptorFile;
  file->size = *static_cast<const haddr_t*>(::H5Pget_driver_info(access));
  return &file->common;
}

herr_t close(H5FD_t* file) {
  delete &of(file);
  return 0;
}

herr_t query(const H5FD_t*, unsigned long* features) {
  if (features != nullptr)
    *features = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
  return 0;
}

haddr_t allocated(const H5FD_t* file, H5FD_mem_t) { return of(file).allocated; }

herr_t set_allocated(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  of(file).allocated = address;
  return 0;
}

haddr_t size(const H5FD_t* file, H5FD_mem_t) { return of(file).size; }

// Behind the end are zeros, as in libhdf5's own drivers.
herr_t read(H5FD_t*, H5FD_mem_t, hid_t, haddr_t address, size_t size, void* buffer) {
  if (!fits(address, size)) return -1;
  auto* out = static_cast<char*>(buffer);
  while (size > 0) {
    const ssize_t got = ::pread(kFile, out, size, static_cast<off_t>(address));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) {
      std::memset(out, 0, size);
      break;
    }
    out += got;
    address += static_cast<haddr_t>(got);
    size -= static_cast<size_t>(got);
  }
  return 0;
}

herr_t write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, const void* buffer) {
  if (!fits(address, size)) return -1;
  const auto* in = static_cast<const char*>(buffer);
  while (size > 0) {
    const ssize_t written = ::pwrite(kFile, in, size, static_cast<off_t>(address));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return -1;
    in += written;
    address += static_cast<haddr_t>(written);
    size -= static_cast<size_t>(written);
  }
  if (address > of(file).size) of(file).size = address;
  return 0;
}

herr_t truncate(H5FD_t* file, hid_t, hbool_t) {
  DescriptorFile& self = of(file);
  if (self.size == self.allocated) return 0;
  if (::ftruncate(kFile, static_cast<off_t>(self.allocated)) != 0) return -1;
  self.size = self.allocated;
  return 0;
}

H5FD_class_t driver() {
  H5FD_class_t driver = {};
#if H5_VERSION_GE(1, 13, 0)
  driver.version = H5FD_CLASS_VERSION;
  driver.value = 513;  // 512 and more are for drivers from outside
#endif
  driver.name = "descriptor";
  driver.maxaddr = kMaxAddress;
  driver.fapl_size = sizeof(haddr_t);  // the size of the file
  driver.fc_degree = H5F_CLOSE_STRONG;
  driver.open = open;
  driver.close = close;
  driver.query = query;
  driver.get_eoa = allocated;
  driver.set_eoa = set_allocated;
  driver.get_eof = size;
  driver.read = read;
  driver.write = write;
  driver.truncate = truncate;
  const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
  std::memcpy(driver.fl_map, map, sizeof map);
  return driver;
}

Id access_by_descriptor(haddr_t size) {
  static const H5FD_class_t kDriver = driver();
  const Id registered(::H5FDregister(&kDriver), "file", "no driver");
  Id access(::H5Pcreate(H5P_FILE_ACCESS), "file", "no access");
  check(::H5Pset_driver(access.get(), registered.get(), &size), "file", "no driver");
  return access;
}

}  // namespace

Id open_descriptor_file(int64_t size) {
  const Id access = access_by_descriptor(static_cast<haddr_t>(size));
  return {::H5Fopen(kName, H5F_ACC_RDONLY, access.get()), "/", "expected an HDF5 file, found another or a damaged one"};
}

Id create_descriptor_file() {
  const Id access = access_by_descriptor(0);
  check(::H5Pset_libver_bounds(access.get(), H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST), "/", "no version");
  return {::H5Fcreate(kName, H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), "/", "cannot be created"};
}

}  // namespace convoy::h5
