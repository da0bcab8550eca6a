#include "core/io/h5_helper/writer.h"

#include "core/io/h5_helper/attributes.h"
#include "core/io/h5_helper/dataset.h"
#include "core/io/h5_helper/descriptor_file.h"
#include "core/io/h5_helper/handles.h"

namespace convoy::h5 {
namespace {

Id open_or_create(const Id& file, const std::string& path) {
  if (path == "/") return {::H5Gopen2(file.get(), "/", H5P_DEFAULT), path, "cannot be opened"};
  return {::H5Gcreate2(file.get(), path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), path, "cannot be made"};
}

}  // namespace

void write_all(Hdf5Decoder& in) {
  const Id file = create_descriptor_file();
  while (auto object = in.next()) {
    if (const auto* group = std::get_if<Hdf5Group>(&*object)) {
      const Id made = open_or_create(file, group->path);
      for (const Hdf5Attribute& attribute : group->attributes) write_attribute(made.get(), group->path, attribute);
    } else {
      write_dataset(file.get(), std::get<HostTensor>(*object));
    }
  }
  check(::H5Fflush(file.get(), H5F_SCOPE_GLOBAL), "/", "cannot be written");
}

}  // namespace convoy::h5
