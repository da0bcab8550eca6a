// convoy-h5 for real, on files by h5py (see tests/oracles/hdf5_files.py) and by itself.
#include "core/io/hdf5.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/core/base/testing.h"
#include "tests/core/io/zipped_files.h"

namespace convoy {
namespace {

// Unpacked once, gone at the end.
const ZippedFiles& files() {
  static const ZippedFiles files(CONVOY_TEST_FILES "/hdf5.zip");
  return files;
}

const std::vector<float> kNumbers = {0, 1, 2, 3, 4, 5};

const HostTensor& get(const Hdf5File& file, const std::string& path) {
  const HostTensor* tensor = file.dataset(path);
  if (tensor == nullptr) throw std::runtime_error("no dataset " + path);
  return *tensor;
}

std::vector<std::string> texts(const Hdf5Group& group, const std::string& name) {
  const Hdf5Attribute* attribute = group.find(name);
  return attribute == nullptr ? std::vector<std::string>{"(none)"} : attribute->texts;
}

TEST(Hdf5, ReadsTextsAndListsOfTexts) {
  const Hdf5File file = read_hdf5(files() / "good.h5");
  EXPECT_EQ(file.path, files() / "good.h5");
  ASSERT_FALSE(file.groups.empty());
  const Hdf5Group& root = file.groups[0];
  EXPECT_EQ(root.path, "/");
  EXPECT_EQ(texts(root, "text"), std::vector<std::string>{"variable, ü"});
  EXPECT_EQ(texts(root, "bytes"), std::vector<std::string>{"ascii"});
  EXPECT_EQ(texts(root, "fixed"), (std::vector<std::string>{"one", "three"}));
  EXPECT_EQ(texts(root, "list"), (std::vector<std::string>{"one", "", "three"}));
  EXPECT_EQ(texts(root, "empty"), std::vector<std::string>{});
  EXPECT_FALSE(root.find("text")->list);
  EXPECT_TRUE(root.find("list")->list);
  EXPECT_TRUE(root.find("empty")->list);
  EXPECT_EQ(root.attributes.size(), 5u) << "others are left out";
}

TEST(Hdf5, ReadsNumbersOfEachTypeAndLayout) {
  const Hdf5File file = read_hdf5(files() / "good.h5");
  const std::vector<int64_t> dims = {2, 3};
  EXPECT_EQ(get(file, "/a").dims, dims);
  for (const char* path : {"/a", "/types/f16", "/types/big_endian", "/types/bf16_uint16", "/types/bf16_opaque",
                           "/packed/chunked", "/compact"})
    EXPECT_EQ(get(file, path).values, kNumbers) << path;
  EXPECT_EQ(get(file, "/types/i8").values, (std::vector<float>{-3, -2, -1, 0, 1, 2}));
  EXPECT_EQ(get(file, "/types/u32").values, (std::vector<float>{0, 1000, 2000, 3000, 4000, 5000}));
  EXPECT_EQ(get(file, "/types/f64").values[2], static_cast<float>(2.0 / 3));
  EXPECT_EQ(get(file, "/types/i64").dims, std::vector<int64_t>{});
  EXPECT_EQ(get(file, "/types/i64").values, std::vector<float>{7});
  EXPECT_EQ(get(file, "/types/uint16").values[1], 0x3f80) << "1 as bfloat16, if it said so";
  EXPECT_EQ(get(file, "/types/none").dims, (std::vector<int64_t>{3, 0, 2}));
  EXPECT_EQ(get(file, "/types/none").values, std::vector<float>{});
  const HostTensor& deflated = get(file, "/packed/deflated");
  ASSERT_EQ(deflated.dims, (std::vector<int64_t>{200, 3}));
  for (size_t i = 0; i < deflated.values.size(); ++i) ASSERT_EQ(deflated.values[i], kNumbers[i % 6]) << i;
}

TEST(Hdf5, ReadsTheNewestVersionInOrderOfMaking) {
  const Hdf5File file = read_hdf5(files() / "newest.h5");
  ASSERT_EQ(file.groups.size(), 3u);
  EXPECT_EQ(file.groups[1].path, "/z");
  EXPECT_EQ(file.groups[2].path, "/b");
  EXPECT_EQ(get(file, "/b/c").values, kNumbers);
  EXPECT_EQ(file.group("/b/c"), nullptr);
  EXPECT_EQ(file.dataset("/z"), nullptr);
}

// So many that libhdf5 sorts them with qsort(), which asks for the size of memory.
TEST(Hdf5, ReadsGroupsOfManyLinksAndAttributes) {
  const Hdf5File many = read_hdf5(files() / "many.h5");
  ASSERT_EQ(many.datasets.size(), 61u);
  EXPECT_EQ(many.datasets[1].name, "/w0");
  EXPECT_EQ(many.datasets[3].name, "/w10") << "by name";
  EXPECT_EQ(many.groups[0].attributes.size(), 60u);
  const Hdf5File ordered = read_hdf5(files() / "many_in_order.h5");
  ASSERT_EQ(ordered.datasets.size(), 61u);
  EXPECT_EQ(ordered.datasets[3].name, "/w2") << "by age";
}

TEST(Hdf5, RefusesWhatLeadsOutOfTheFileOrDeceives) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"external_storage", "/w: expected elements, found external storage"},
      {"external_link", "/w: expected a hard link, found an external link"},
      {"soft_link", "/w: expected a hard link, found a soft link"},
      {"virtual", "/w: expected elements, found a virtual data set"},
      {"hard_link", "/w: expected one hard link to each object"},
      {"cycle", "/g/h/up: expected one hard link to each object"},
      {"filter", "/w: expected the filters deflate, shuffle or fletcher32, found number 32000"},
      {"compound", "/w: expected floating-point numbers or integers"},
      {"strings", "/w: expected floating-point numbers or integers"},
      {"reference", "/w: expected floating-point numbers or integers"},
      {"ragged", "/w: expected floating-point numbers or integers"},
      {"own_type", "/w: expected a group or a dataset, found a data type"},
      {"hole", "/w: expected 4398046511104 bytes of elements in the file of 2072, which are not there"},
      {"bomb", "/w: 2072 bytes of file cannot be trusted to hold 1073741824x64 elements"},
      {"checksum", "/w: cannot be read (libhdf5: data error detected by Fletcher32 checksum)"},
      {"deep", ": groups more than 64 deep"},
      {"not_utf8", "expected names and attributes in UTF-8"},
  };
  for (const auto& [name, message] : cases) {
    const std::string path = files() / (name + ".h5");
    expect_error(ExitCode::kBadData, {path + ": ", message}, [&] { read_hdf5(path); });
  }
}

TEST(Hdf5, RefusesOtherAndMissingFiles) {
  const TempDirectory temp;
  put_file(temp / "text.h5", "no HDF5 at all");
  expect_error(ExitCode::kBadData, {temp / "text.h5: /: expected an HDF5 file"}, [&] { read_hdf5(temp / "text.h5"); });
  put_file(temp / "empty.h5", "");
  expect_error(ExitCode::kBadData, {"empty.h5: "}, [&] { read_hdf5(temp / "empty.h5"); });
  expect_error(ExitCode::kNoInput, {"missing.h5"}, [&] { read_hdf5(temp / "missing.h5"); });
  EXPECT_TRUE(starts_like_hdf5(read_beginning(files() / "good.h5", 64)));
  EXPECT_FALSE(starts_like_hdf5(read_beginning(temp / "text.h5", 64)));
}

// Cut and flipped files are either read or refused, never worse.  convoy-h5 may crash on them; this process may not.
TEST(Hdf5, RefusesDamagedFiles) {
  const std::string whole = get_file(files() / "good.h5");
  const auto try_it = [&](const std::string& contents) {
    try {
      read_hdf5(std::span(reinterpret_cast<const uint8_t*>(contents.data()), contents.size()), "f.h5");
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData) << error.what();
      EXPECT_EQ(std::string(error.what()).rfind("f.h5: ", 0), 0u) << error.what();
      return false;
    }
  };
  EXPECT_TRUE(try_it(whole));
  for (size_t length = 0; length < whole.size(); length += 997) EXPECT_FALSE(try_it(whole.substr(0, length))) << length;
  for (size_t at = 0; at < whole.size(); at += 397) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x5a);
    try_it(flipped);
  }
}

Hdf5File small_file() {
  Hdf5File file;
  file.path = "small.h5";
  file.groups = {{"/", {{"one", false, {"text ü"}}, {"many", true, {"a", "", "ccc"}}, {"none", true, {}}}},
                 {"/g", {}},
                 {"/g/inner", {{"empty", false, {""}}}}};
  file.datasets = {{"/g/kernel:0", {2, 3}, kNumbers},
                   {"/g/inner/scalar", {}, {-1.5f}},
                   {"/g/nothing", {0, 4}, {}},
                   {"/implied/by/path", {2}, {std::numeric_limits<float>::infinity(), 1e-40f}}};
  return file;
}

TEST(Hdf5, ReadsWhatItWrote) {
  const TempDirectory temp;
  const Hdf5File written = small_file();
  write_hdf5(temp / "f.h5", written);
  const Hdf5File read = read_hdf5(temp / "f.h5");
  ASSERT_NE(read.group("/implied/by"), nullptr);
  for (const Hdf5Group& group : written.groups) {
    ASSERT_NE(read.group(group.path), nullptr) << group.path;
    EXPECT_EQ(read.group(group.path)->attributes.size(), group.attributes.size());
    for (const Hdf5Attribute& attribute : group.attributes) {
      EXPECT_EQ(texts(*read.group(group.path), attribute.name), attribute.texts) << attribute.name;
      EXPECT_EQ(read.group(group.path)->find(attribute.name)->list, attribute.list);
    }
  }
  EXPECT_EQ(read.datasets.size(), written.datasets.size());
  for (const HostTensor& tensor : written.datasets) {
    EXPECT_EQ(get(read, tensor.name).dims, tensor.dims);
    EXPECT_EQ(get(read, tensor.name).values, tensor.values);
  }
}

TEST(Hdf5, WritesTheSameBytesEveryTimeInTheOldestVersion) {
  const TempDirectory temp;
  write_hdf5(temp / "f.h5", small_file());
  const std::string contents = get_file(temp / "f.h5");
  EXPECT_EQ(contents.at(8), 0) << "superblock";
  const std::vector<uint8_t> bytes = hdf5_bytes(small_file());
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), contents);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temp.path()), {}), 1) << "what was temporary is gone";
}

TEST(Hdf5, CarriesALargeDataset) {
  Hdf5File file;
  file.path = "large.h5";
  file.groups = {{"/", {}}};
  file.datasets = {{"/w", {1001, 5003}, {}}, {"/v", {3'000'000}, {}}};
  for (HostTensor& tensor : file.datasets)
    for (int64_t i = 0; i < tensor.dims[0] * (tensor.dims.size() > 1 ? tensor.dims[1] : 1); ++i)
      tensor.values.push_back(static_cast<float>(i % 16'777'213));
  const Hdf5File read = read_hdf5(hdf5_bytes(file), "large.h5");
  for (const HostTensor& tensor : file.datasets) EXPECT_TRUE(get(read, tensor.name).values == tensor.values);
}

TEST(Hdf5, SaysWhatItCannotWrite) {
  const TempDirectory temp;
  Hdf5File file = small_file();
  file.path = temp / "f.h5";
  file.groups[1].attributes = {{"long", true, {std::string(70'000, 'x')}}};
  expect_error(ExitCode::kBadData, {temp / "f.h5: /g: attribute 'long': cannot be written"},
               [&] { write_hdf5(temp / "f.h5", file); });
  EXPECT_FALSE(std::filesystem::exists(temp / "f.h5"));
  expect_error(ExitCode::kCannotCreate, {"missing"}, [&] { write_hdf5(temp / "missing/f.h5", small_file()); });
}

}  // namespace
}  // namespace convoy
