#include "core/io/h5_helper/attributes.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "core/base/error.h"

namespace convoy::h5 {
namespace {

constexpr size_t kMaxAttributes = 10'000;  // of one object

// ---- Reading

struct Names {
  std::vector<std::string> names;
  bool too_many = false;
};

herr_t add_name(hid_t, const char* name, const H5A_info_t*, void* to) {
  auto& names = *static_cast<Names*>(to);
  names.too_many = names.names.size() >= kMaxAttributes;
  if (names.too_many) return 1;  // stops
  names.names.emplace_back(name);
  return 0;
}

std::string trimmed(const char* text, size_t size, H5T_str_t padding) {
  std::string result(text, ::strnlen(text, size));
  if (padding == H5T_STR_SPACEPAD) result.erase(result.find_last_not_of(' ') + 1);
  return result;
}

std::vector<std::string> read_fixed(hid_t attribute, hid_t type, size_t count, int64_t file_bytes,
                                    const std::string& where) {
  const size_t size = ::H5Tget_size(type);
  if (size == 0) fail(where, "a type without a size");
  if (size > static_cast<size_t>(file_bytes) / std::max<size_t>(count, 1))
    bad_data(where, std::to_string(count) + " texts of " + std::to_string(size) + " bytes are more than the file");
  std::vector<char> bytes(size * count);
  check(::H5Aread(attribute, type, bytes.data()), where, "cannot be read");
  std::vector<std::string> texts;
  const H5T_str_t padding = ::H5Tget_strpad(type);
  for (size_t i = 0; i < count; ++i) texts.push_back(trimmed(bytes.data() + i * size, size, padding));
  return texts;
}

std::vector<std::string> read_variable(hid_t attribute, hid_t type, hid_t space, size_t count, int64_t file_bytes,
                                       const std::string& where) {
  constexpr int64_t kReferenceBytes = 16;  // of each text in the file
  if (static_cast<int64_t>(count) > file_bytes / kReferenceBytes)
    bad_data(where, std::to_string(count) + " texts are more than the file");
  const Id memory_type(::H5Tcopy(H5T_C_S1), where, "no type");
  check(::H5Tset_size(memory_type.get(), H5T_VARIABLE), where, "no type");
  check(::H5Tset_cset(memory_type.get(), ::H5Tget_cset(type)), where, "no type");
  std::vector<char*> pointers(count);
  check(::H5Aread(attribute, memory_type.get(), pointers.data()), where, "cannot be read");
  std::vector<std::string> texts;
  int64_t bytes = 0;
  for (const char* text : pointers) {  // several may be one in the file
    texts.emplace_back(text == nullptr ? "" : text);
    bytes += std::ssize(texts.back());
    if (bytes / 2 > file_bytes) bad_data(where, "its texts are more than the file");
  }
  ::H5Dvlen_reclaim(memory_type.get(), space, H5P_DEFAULT, pointers.data());
  return texts;
}

std::optional<Hdf5Attribute> read_attribute(hid_t object, const std::string& name, const std::string& path,
                                            int64_t file_bytes) {
  const std::string where = path + ": attribute '" + name + "'";
  const Id attribute(::H5Aopen(object, name.c_str(), H5P_DEFAULT), where, "cannot be opened");
  const Id type(::H5Aget_type(attribute.get()), where, "has no type");
  const Id space(::H5Aget_space(attribute.get()), where, "has no shape");
  const int rank = check(::H5Sget_simple_extent_ndims(space.get()), where, "has no shape");
  if (::H5Sget_simple_extent_type(space.get()) == H5S_NULL || rank > 1) return {};
  hsize_t count = 1;
  if (rank == 1) check(::H5Sget_simple_extent_dims(space.get(), &count, nullptr), where, "has no shape");
  Hdf5Attribute result = {name, rank == 1, {}};
  const H5T_class_t kind = ::H5Tget_class(type.get());
  const bool is_text = kind == H5T_STRING;
  if (count == 0 && (is_text || kind == H5T_FLOAT || kind == H5T_INTEGER)) return result;
  if (!is_text) return {};
  if (count > static_cast<hsize_t>(file_bytes))
    bad_data(where, std::to_string(count) + " texts are more than the file");
  const htri_t is_variable = check(::H5Tis_variable_str(type.get()), where, "has no type");
  result.texts = is_variable > 0 ? read_variable(attribute.get(), type.get(), space.get(), count, file_bytes, where)
                                 : read_fixed(attribute.get(), type.get(), count, file_bytes, where);
  return result;
}

// ---- Writing

bool is_ascii(const std::string& text) {
  return std::ranges::all_of(text, [](char letter) { return static_cast<unsigned char>(letter) < 0x80; });
}

// As h5py has them: one text of variable length, lists of the length of the longest.
Id text_type(const Hdf5Attribute& attribute, const std::string& where) {
  Id type(::H5Tcopy(H5T_C_S1), where, "no type");
  size_t longest = 1;
  for (const std::string& text : attribute.texts) longest = std::max(longest, text.size());
  check(::H5Tset_size(type.get(), attribute.list ? longest : H5T_VARIABLE), where, "no type");
  if (attribute.list) check(::H5Tset_strpad(type.get(), H5T_STR_NULLPAD), where, "no type");
  if (!std::ranges::all_of(attribute.texts, is_ascii))
    check(::H5Tset_cset(type.get(), H5T_CSET_UTF8), where, "no type");
  return type;
}

}  // namespace

std::vector<Hdf5Attribute> read_attributes(hid_t object, const std::string& path, int64_t file_bytes) {
  Names names;
  check(::H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, add_name, &names), path,
        "its attributes cannot be listed");
  if (names.too_many) bad_data(path, "more than " + std::to_string(kMaxAttributes) + " attributes");
  std::vector<Hdf5Attribute> attributes;
  for (const std::string& name : names.names) {
    auto attribute = read_attribute(object, name, path, file_bytes);
    if (attribute) attributes.push_back(std::move(*attribute));
  }
  return attributes;
}

void write_attribute(hid_t object, const std::string& path, const Hdf5Attribute& attribute) {
  const std::string where = path + ": attribute '" + attribute.name + "'";
  const std::vector<std::string>& texts = attribute.texts;
  const hsize_t count = texts.size();
  const bool nothing = attribute.list && texts.empty();
  const Id space(attribute.list ? ::H5Screate_simple(1, &count, nullptr) : ::H5Screate(H5S_SCALAR), where, "no shape");
  const Id type = nothing ? Id(::H5Tcopy(H5T_IEEE_F64LE), where, "no type") : text_type(attribute, where);
  const Id written(::H5Acreate2(object, attribute.name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
                   where, "cannot be written");
  if (nothing) return;
  if (!attribute.list) {
    const char* text = texts.at(0).c_str();
    check(::H5Awrite(written.get(), type.get(), &text), where, "cannot be written");
    return;
  }
  const size_t size = ::H5Tget_size(type.get());
  std::vector<char> bytes(size * texts.size());
  for (size_t i = 0; i < texts.size(); ++i) std::memcpy(bytes.data() + i * size, texts[i].data(), texts[i].size());
  check(::H5Awrite(written.get(), type.get(), bytes.data()), where, "cannot be written");
}

}  // namespace convoy::h5
