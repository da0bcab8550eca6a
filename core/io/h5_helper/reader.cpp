#include "core/io/h5_helper/reader.h"

#include <set>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/h5_helper/attributes.h"
#include "core/io/h5_helper/dataset.h"
#include "core/io/h5_helper/descriptor_file.h"
#include "core/io/h5_helper/handles.h"

namespace convoy::h5 {
namespace {

constexpr size_t kMaxObjects = 100'000;
constexpr int kMaxDepth = 64;

struct Link {
  std::string name;
  H5L_type_t type = H5L_TYPE_ERROR;
  haddr_t address = HADDR_UNDEF;  // of a hard link
};

herr_t add_link(hid_t, const char* name, const H5L_info_t* info, void* to) {
  auto& links = *static_cast<std::vector<Link>*>(to);
  if (links.size() > kMaxObjects) return 1;  // stops
  links.push_back({name, info->type, info->type == H5L_TYPE_HARD ? info->u.address : HADDR_UNDEF});
  return 0;
}

class Reader {
 public:
  Reader(int64_t file_bytes, Hdf5Encoder& out) : file_bytes_(file_bytes), out_(out), datasets_(file_bytes, out) {}

  void read() {
    const Id file = open_descriptor_file(file_bytes_);
    const Id root(::H5Gopen2(file.get(), "/", H5P_DEFAULT), "/", "cannot be opened");
    visit(root, "/", 0);
  }

 private:
  // Every object once: a second hard link to it would be a cycle, or make the file many times as large.
  void visit(const Id& object, const std::string& path, int depth) {
    H5O_info_t info = {};
    check(::H5Oget_info2(object.get(), &info, H5O_INFO_BASIC), path, "cannot be read");
    if (!seen_.insert(info.addr).second) bad_data(path, "expected one hard link to each object, found a second one");
    if (seen_.size() > kMaxObjects) bad_data(path, "more than " + std::to_string(kMaxObjects) + " objects");
    switch (::H5Iget_type(object.get())) {
      case H5I_GROUP: return visit_group(object, path, depth);
      case H5I_DATASET: return datasets_.read(object.get(), path);
      default: bad_data(path, "expected a group or a dataset, found a data type of the file's own");
    }
  }

  void visit_group(const Id& group, const std::string& path, int depth) {
    if (depth > kMaxDepth) bad_data(path, "groups more than " + std::to_string(kMaxDepth) + " deep");
    out_.group({path, read_attributes(group.get(), path, file_bytes_)});
    for (const Link& link : links_of(group, path)) {
      const std::string inner = (path == "/" ? path : path + "/") + link.name;
      require_plain(link, inner);
      const Id object(::H5Oopen_by_addr(group.get(), link.address), inner, "cannot be opened");
      visit(object, inner, depth + 1);
    }
  }

  // In the order of their making where the file keeps it.
  static std::vector<Link> links_of(const Id& group, const std::string& path) {
    const Id properties(::H5Gget_create_plist(group.get()), path, "cannot be read");
    unsigned order = 0;
    check(::H5Pget_link_creation_order(properties.get(), &order), path, "cannot be read");
    std::vector<Link> links;
    check(::H5Literate(group.get(), (order & H5P_CRT_ORDER_INDEXED) != 0 ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME,
                       H5_ITER_INC, nullptr, add_link, &links),
          path, "its links cannot be listed");
    if (links.size() > kMaxObjects) bad_data(path, "more than " + std::to_string(kMaxObjects) + " objects");
    return links;
  }

  static void require_plain(const Link& link, const std::string& path) {
    if (link.type != H5L_TYPE_HARD) {
      const char* found = link.type == H5L_TYPE_SOFT       ? "a soft link"
                          : link.type == H5L_TYPE_EXTERNAL ? "an external link, to another file"
                                                           : "a link of an unknown kind";
      bad_data(path, std::string("expected a hard link, found ") + found);
    }
    if (link.name.empty() || link.name == "." || link.name == ".." || link.name.find('/') != std::string::npos)
      bad_data(path, "expected a name without a slash");
  }

  const int64_t file_bytes_;
  Hdf5Encoder& out_;
  DatasetReader datasets_;
  std::set<haddr_t> seen_;
};

}  // namespace

void read_all(int64_t file_bytes, Hdf5Encoder& out) {
  Reader(file_bytes, out).read();
  out.end();
}

}  // namespace convoy::h5
