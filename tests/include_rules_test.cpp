// The architecture, checked: who may include whom, the one door of each library, and sizes of files.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Violations = std::vector<std::string>;

const fs::path kRoot = CONVOY_SOURCE_DIR;
constexpr int kMostLines = 500;

// A file under `folder` may include files under `may_include` (and under its own folder).  The first match counts.
struct Arrow {
  const char* folder;
  std::vector<const char*> may_include;
};
const std::vector<Arrow> kArrows = {
    {"core/base/", {}},
    {"core/device/", {"core/base/"}},
    {"core/io/", {"core/base/", "core/device/"}},
    {"core/graph/", {"core/base/", "core/device/"}},
    {"core/image/", {"core/base/"}},
    {"core/data/", {"core/base/", "core/device/", "core/io/", "core/image/"}},
    {"core/train/", {"core/base/", "core/device/", "core/io/", "core/graph/"}},
    {"layers/", {"core/"}},
    {"dist/", {"core/"}},
    {"launcher/", {"core/", "layers/", "dist/"}},
    {"benchmarks/", {"core/", "layers/", "dist/", "launcher/", "tests/"}},
    {"tests/", {"core/", "layers/", "dist/", "launcher/"}},
};

// Only files whose path matches `door` may include a header that matches `header`.
struct Door {
  std::regex header;
  std::regex door;
};
const std::vector<Door> kDoors = {
    {std::regex("cuda(_|\\.h).*|cuda/.*"), std::regex("core/device/.*|.*_cuda\\..*")},
    {std::regex("cudnn.*|cublas.*"), std::regex("layers/.*_cuda\\..*")},
    {std::regex("nccl.*"), std::regex("dist/.*")},
    {std::regex("mpi\\.h"), std::regex("dist/.*")},
    {std::regex("(oneapi/)?dnnl.*"), std::regex("layers/.*_cpu\\.(h|cpp)")},
    {std::regex("yaml-cpp/.*"), std::regex("launcher/config/.*")},
    {std::regex("prometheus/.*"), std::regex("launcher/metrics.*")},
    {std::regex("hdf5.*"), std::regex("core/io/h5_helper/.*")},
    {std::regex("turbojpeg\\.h|jpeglib\\.h|jerror\\.h|png\\.h"), std::regex("core/image/.*")},
    {std::regex("zlib\\.h|archive.*"), std::regex("core/io/.*")},
    {std::regex("xxhash\\.h|hwloc.*"), std::regex("core/base/.*")},
    {std::regex("nlohmann/.*"), std::regex("(core/io|launcher)/.*")},
    {std::regex("nvml\\.h|nvtx3/.*"), std::regex("core/device/.*")},
    {std::regex("boost/program_options.*"), std::regex("launcher/(main|command_line)\\.cpp")},
    {std::regex("boost/context.*|g(test|mock)/.*"), std::regex("tests/.*")},
};

bool starts_with_any(const std::string& text, const std::vector<const char*>& prefixes) {
  for (const char* prefix : prefixes) {
    if (text.rfind(prefix, 0) == 0) return true;
  }
  return false;
}

bool arrow_allows(const std::string& file, const std::string& header) {
  for (const Arrow& arrow : kArrows) {
    if (!starts_with_any(file, {arrow.folder})) continue;
    return starts_with_any(header, {arrow.folder}) || starts_with_any(header, arrow.may_include);
  }
  return false;
}

Violations check_include(const std::string& file, const std::string& header, bool quoted) {
  Violations found;
  if (quoted && !arrow_allows(file, header)) found.push_back(file + ": may not include \"" + header + "\"");
  if (starts_with_any(file, {"tests/", "benchmarks/"})) return found;  // they may look behind a door
  for (const Door& rule : kDoors) {
    if (!std::regex_match(header, rule.header) || std::regex_match(file, rule.door)) continue;
    found.push_back(file + ": <" + header + "> has another door");
  }
  return found;
}

Violations check_text(const std::string& file, std::istream& text) {
  static const std::regex include(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)");
  Violations found;
  int lines = 0;
  std::string line;
  for (std::smatch match; std::getline(text, line); ++lines) {
    if (!std::regex_match(line, match, include)) continue;
    for (std::string& violation : check_include(file, match[2], match[1] == "\"")) found.push_back(violation);
  }
  if (lines > kMostLines) found.push_back(file + ": " + std::to_string(lines) + " lines, at most 500");
  return found;
}

Violations check_text(const std::string& file, const std::string& text) {
  std::istringstream stream(text);
  return check_text(file, stream);
}

// Sources and headers, relative to the root.
std::vector<std::string> source_files() {
  const std::set<std::string> extensions = {".h", ".cpp", ".cu", ".cuh"};
  std::vector<std::string> files;
  for (const char* folder : {"core", "layers", "dist", "launcher", "tests", "benchmarks"}) {
    if (!fs::exists(kRoot / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      if (extensions.count(entry.path().extension())) files.push_back(fs::relative(entry.path(), kRoot));
    }
  }
  return files;
}

// The nearest CMakeLists.txt above `file` names it.
bool is_listed(const std::string& file) {
  if (file == "tests/mpi_main.cpp") return true;  // cmake/testing.cmake adds it
  fs::path folder = (kRoot / file).parent_path();
  while (!fs::exists(folder / "CMakeLists.txt")) folder = folder.parent_path();
  std::ifstream list(folder / "CMakeLists.txt");
  const std::string wanted = fs::relative(kRoot / file, folder);
  for (std::string word; list >> word;) {
    if (word == wanted || word == wanted + ")") return true;
  }
  return false;
}

TEST(IncludeRules, HoldInEveryFile) {
  const std::vector<std::string> files = source_files();
  EXPECT_GT(files.size(), 20u);
  for (const std::string& file : files) {
    std::ifstream text(kRoot / file);
    for (const std::string& violation : check_text(file, text)) ADD_FAILURE() << violation;
  }
}

TEST(IncludeRules, EverySourceIsBuilt) {
  for (const std::string& file : source_files()) {
    const std::string extension = fs::path(file).extension();
    if (extension == ".cpp" || extension == ".cu") {
      EXPECT_TRUE(is_listed(file)) << file << " is in no CMakeLists.txt";
    }
  }
}

TEST(IncludeRules, SeeAnArrowThatPointsTheOtherWay) {
  EXPECT_EQ(check_text("core/graph/plan.cpp", "#include \"layers/relu.h\"\n").size(), 1u);
  EXPECT_EQ(check_text("core/graph/plan.cpp", "#include \"core/data/loader.h\"\n").size(), 1u);
  EXPECT_EQ(check_text("dist/mpi.cpp", "#include \"layers/relu.h\"\n").size(), 1u);
  EXPECT_EQ(check_text("core/graph/plan.cpp", "#include \"core/device/device.h\"\n").size(), 0u);
}

TEST(IncludeRules, SeeALibraryThroughTheWrongDoor) {
  EXPECT_EQ(check_text("launcher/trainer.cpp", "#include <mpi.h>\n").size(), 1u);
  EXPECT_EQ(check_text("layers/conv2d.cpp", "  #  include <oneapi/dnnl/dnnl.hpp>  // no\n").size(), 1u);
  EXPECT_EQ(check_text("launcher/commands/train.cpp", "#include <yaml-cpp/yaml.h>\n").size(), 1u);
  EXPECT_EQ(check_text("layers/conv2d_cpu.cpp", "#include <oneapi/dnnl/dnnl.hpp>\n").size(), 0u);
}

TEST(IncludeRules, SeeAFileThatIsTooLong) {
  std::string lines;
  for (int i = 0; i < kMostLines; ++i) lines += "\n";
  EXPECT_EQ(check_text("core/base/x.h", lines).size(), 0u);
  EXPECT_EQ(check_text("core/base/x.h", lines + "\n").size(), 1u);
}

}  // namespace
