// convoy predict, alone and under mpirun: what it prints, what it refuses, and with which exit code.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "core/io/csv.h"
#include "launcher/exchange/tensor_files.h"
#include "launcher/inference.h"
#include "tests/launcher/networks.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr Shape kSample{1, 6, 5, 3};

struct Result {
  int code = -1;
  std::string output, errors;
};

std::string text_of(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::stringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::vector<std::string>> rows_of(const std::string& csv) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row;
  CsvReader reader(csv, "output");
  while (reader.next(row)) rows.push_back(row);
  return rows;
}

class PredictCommand : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "convoy-predict-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    network_ = network_of(
        "name: tiny\nclasses: 4\nlayers: [conv2d: {filters: 8, kernel: 3, padding: 1}, batch_norm, relu, flatten, "
        "linear: {units: 4}]",
        kSample);
    network_.preprocessing = Preprocessing{.mean = {0.5}, .std = {0.25}, .crop = CropType::kStretch};
    network_.class_names = {"cat", "dog, small", "\"owl\"", "ant"};
    save("model.safetensors");
  }
  void TearDown() override { fs::remove_all(directory_); }

  void save(const std::string& name) const {
    PosixFileSystem files;
    write_safetensors_model(files, (directory_ / name).string(), network_, {});
  }
  // An image of the network's size, so that its pixels reach the network as they are.
  std::vector<uint8_t> image(const std::string& name, int seed) const {
    std::vector<uint8_t> pixels(static_cast<size_t>(kSample.elements()));
    for (size_t i = 0; i < pixels.size(); ++i)
      pixels[i] = static_cast<uint8_t>((i * i + 71) * (7 + static_cast<size_t>(seed)) % 256);
    fs::create_directories((directory_ / name).parent_path());
    std::ofstream file(directory_ / name, std::ios::binary);
    file << "P6\n" << kSample.w << " " << kSample.h << "\n255\n";
    file.write(reinterpret_cast<const char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
    return pixels;
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }
  // By hand: of pixels as the preprocessing makes them.
  std::vector<double> probabilities(const std::vector<uint8_t>& pixels) const {
    std::vector<float> values;
    for (const uint8_t pixel : pixels) values.push_back(static_cast<float>((pixel / 255.0 - 0.5) / 0.25));
    std::vector<double> result;
    softmax(plain_logits(network_, values), result);
    return result;
  }
  Result run(const std::string& arguments, const std::string& launcher = "") const {
    const std::string command = "cd " + directory_.string() + " && " + launcher + " " CONVOY_PROGRAM " predict " +
                                arguments + " --device=cpu --threads=1 >out 2>err </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(directory_ / "out"), text_of(directory_ / "err")};
  }
  void expect_error(const std::string& arguments, int code, const std::string& says) const {
    const Result result = run(arguments);
    EXPECT_EQ(result.code, code) << arguments << "\n" << result.errors;
    EXPECT_NE(result.errors.find(says), std::string::npos) << arguments << "\n" << result.errors;
    EXPECT_EQ(result.output, "");
  }

  fs::path directory_;
  Network network_;
};

TEST_F(PredictCommand, CsvOfAFolder) {
  const std::vector<std::vector<uint8_t>> pixels = {image("in/a.ppm", 1), image("in/b/c.ppm", 2), image("in/d.ppm", 3)};
  const Result result = run("model.safetensors in --format=csv --top=2 --batch_size=2");
  ASSERT_EQ(result.code, 0) << result.errors;
  const auto rows = rows_of(result.output);
  ASSERT_EQ(rows.size(), 7U);
  EXPECT_EQ(rows[0], (std::vector<std::string>{"path", "rank", "class", "name", "probability"}));
  const std::vector<std::string> paths = {"in/a.ppm", "in/b/c.ppm", "in/d.ppm"};
  for (size_t i = 0; i < 3; ++i) {
    std::vector<double> wanted = probabilities(pixels[i]);
    for (size_t rank = 1; rank <= 2; ++rank) {
      const auto& row = rows[2 * i + rank];
      EXPECT_EQ(row[0], paths[i]);
      EXPECT_EQ(row[1], std::to_string(rank));
      const auto likeliest = std::ranges::max_element(wanted);
      EXPECT_EQ(row[2], std::to_string(likeliest - wanted.begin()));
      EXPECT_EQ(row[3], network_.class_names[static_cast<size_t>(likeliest - wanted.begin())]);
      EXPECT_NEAR(std::stod(row[4]), *likeliest, 2e-6);
      *likeliest = -1;
    }
  }
}

TEST_F(PredictCommand, JsonLinesWithLogits) {
  const std::vector<uint8_t> pixels = image("x y.ppm", 5);
  const Result result = run("model.safetensors 'x y.ppm' --format=jsonl --logits --top=99");
  ASSERT_EQ(result.code, 0) << result.errors;
  const json line = json::parse(result.output);
  EXPECT_EQ(line["path"], "x y.ppm");
  ASSERT_EQ(line["top"].size(), 4U);  // no more than there are
  ASSERT_EQ(line["logits"].size(), 4U);
  std::vector<double> found;
  softmax(line["logits"].get<std::vector<float>>(), found);
  const std::vector<double> wanted = probabilities(pixels);
  double before = 1;
  for (const json& one : line["top"]) {
    const auto label = one["class"].get<size_t>();
    EXPECT_NEAR(one["probability"].get<double>(), wanted[label], 2e-6);
    EXPECT_NEAR(found[label], wanted[label], 2e-6);
    EXPECT_EQ(one["name"], network_.class_names[label]);
    EXPECT_LE(one["probability"].get<double>(), before);
    before = one["probability"].get<double>();
  }
}

TEST_F(PredictCommand, TextNamesImageAndClasses) {
  image("a.ppm", 1);
  const Result result = run("model.safetensors a.ppm --top=1");
  ASSERT_EQ(result.code, 0) << result.errors;
  const std::vector<std::string> lines = lines_of(result.output);
  ASSERT_EQ(lines.size(), 2U) << result.output;
  EXPECT_EQ(lines[0], "a.ppm");
  EXPECT_NE(lines[1].find(" % "), std::string::npos);
}

TEST_F(PredictCommand, ListsAndWordsInTheirOrder) {
  image("a.ppm", 1);
  image("b.ppm", 2);
  image("c=1.ppm", 3);
  write("list.txt", "b.ppm\r\n\na.ppm");
  const Result result = run("model.safetensors c=1.ppm list.txt a.ppm --format=csv --top=1");
  ASSERT_EQ(result.code, 0) << result.errors;
  std::string order;
  for (const auto& row : rows_of(result.output)) order += row[0] + " ";
  EXPECT_EQ(order, "path c=1.ppm b.ppm a.ppm a.ppm ");
}

TEST_F(PredictCommand, ClassNames) {
  image("a.ppm", 1);
  write("names", "w\nx\ny\nz\n");
  const Result named = run("model.safetensors a.ppm --classes=names --top=1 --format=csv");
  EXPECT_EQ(named.code, 0) << named.errors;
  const auto row = rows_of(named.output)[1];
  EXPECT_EQ(row[3], std::string(1, static_cast<char>('w' + std::stoi(row[2]))));
  write("names", "w\nx\ny\n");
  expect_error("model.safetensors a.ppm --classes=names", 65, "names: expected 4 names, one a line, found 3");
  network_.class_names.clear();
  save("unnamed.safetensors");
  const auto unnamed = rows_of(run("unnamed.safetensors a.ppm --top=1 --format=csv").output);
  EXPECT_EQ(unnamed[1][3], unnamed[1][2]);
}

// Saved by NumPy: np.save of arange(90) as u8 [1,6,5,3], and the same as f32.
TEST_F(PredictCommand, Arrays) {
  const auto npy = [](const std::string& type, const std::string& elements) {
    std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (2, 6, 5, 3), }";
    header.resize(117, ' ');
    return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + "\n" + elements;
  };
  const std::vector<uint8_t> a = image("a.ppm", 1), b = image("b.ppm", 2);
  std::string pixels(a.begin(), a.end());
  pixels.append(b.begin(), b.end());
  write("u8.npy", npy("|u1", pixels));
  std::string floats;
  for (const char c : pixels) {
    const auto value = static_cast<float>((static_cast<uint8_t>(c) / 255.0 - 0.5) / 0.25);
    floats.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  write("f32.npy", npy("<f4", floats));
  network_.preprocessing.reset();
  save("unsaid.safetensors");
  const std::string flags = " --format=jsonl --logits";
  const auto images = lines_of(run("model.safetensors a.ppm b.ppm" + flags).output);
  for (const std::string words : {"model.safetensors u8.npy", "unsaid.safetensors f32.npy"}) {
    const Result result = run(words + flags);
    ASSERT_EQ(result.code, 0) << result.errors;
    const auto lines = lines_of(result.output);
    ASSERT_EQ(lines.size(), 2U);
    for (size_t i = 0; i < 2; ++i) {
      const json found = json::parse(lines[i]), wanted = json::parse(images[i]);
      EXPECT_NE(found["path"].get<std::string>().find(".npy[" + std::to_string(i) + "]"), std::string::npos);
      EXPECT_LE(worst_error(found["logits"].get<std::vector<float>>(), wanted["logits"].get<std::vector<float>>()),
                1e-5);
    }
  }
  expect_error("model.safetensors a.ppm f32.npy", 65, "f32.npy: arrays of f32 cannot be mixed with images");
  write("u8.npy", npy("|u1", pixels.substr(1)));
  expect_error("model.safetensors u8.npy", 65, "u8.npy: expected 180 bytes of elements, found 179");
  write("u8.npy", npy("<i8", pixels));
  expect_error("model.safetensors u8.npy", 65, "u8.npy: ");
}

TEST_F(PredictCommand, ABadImageIsNamedAndTheOthersArePredicted) {
  image("in/a.ppm", 1);
  image("in/c.ppm", 2);
  write("in/b.png", "this is no image");
  for (const std::string& launcher : {std::string(), std::string(CONVOY_MPIEXEC " -n 2")}) {
    const Result result = run("model.safetensors in --format=csv --top=1 --batch_size=1", launcher);
    EXPECT_EQ(result.code, 65) << result.errors;
    const auto rows = rows_of(result.output);
    ASSERT_EQ(rows.size(), 3U) << result.output;
    EXPECT_EQ(rows[1][0], "in/a.ppm");
    EXPECT_EQ(rows[2][0], "in/c.ppm");
    EXPECT_NE(result.errors.find("in/b.png"), std::string::npos) << result.errors;
    EXPECT_NE(result.errors.find("1 of 3 images could not be read"), std::string::npos) << result.errors;
  }
}

TEST_F(PredictCommand, AListWithNothingReadable) {
  write("list.txt", "no-such.ppm\n");
  const Result result = run("model.safetensors list.txt");
  EXPECT_EQ(result.code, 65) << result.errors;
  EXPECT_EQ(result.output, "");
}

TEST_F(PredictCommand, WhatIsRefused) {
  image("a.ppm", 1);
  fs::create_directories(directory_ / "empty");
  write("bad.safetensors", "this is no network, whatever it is called");
  expect_error("", 64, "expected a file with a network");
  expect_error("model.safetensors", 64, "expected images");
  expect_error("model.safetensors a.ppm --format=xml", 64, "--format: expected text, csv or jsonl, found 'xml'");
  expect_error("model.safetensors a.ppm --top=0", 64, "--top: expected an integer >= 1, found '0'");
  expect_error("model.safetensors a.ppm --precision=f8", 64, "--precision: expected one of auto, f32, bf16, f16");
  expect_error("model.safetensors a.ppm --precision=f16", 78, "f16 needs a GPU");
  expect_error("model.safetensors a.ppm --preprocessing=rgb", 64, "--preprocessing: expected one of rgb/255, torch");
  expect_error("model.safetensors no-such.ppm", 66, "no-such.ppm: no such file or directory");
  expect_error("model.safetensors empty", 66, "empty: expected images, found none");
  expect_error("no-such.safetensors a.ppm", 66, "no-such.safetensors");
  expect_error("bad.safetensors a.ppm", 65, "bad.safetensors: ");
  network_.preprocessing.reset();
  save("unsaid.safetensors");
  expect_error("unsaid.safetensors a.ppm", 64,
               "does not say how an image becomes its input; give --preprocessing=NAME, one of rgb/255, torch, caffe");
  EXPECT_EQ(run("unsaid.safetensors a.ppm --preprocessing=torch").code, 0);
}

TEST_F(PredictCommand, RanksSayTheSame) {
  for (int i = 0; i < 13; ++i) image("in/" + std::to_string(100 + i) + ".ppm", i);
  for (const std::string format : {"csv", "jsonl"}) {
    const std::string arguments = "model.safetensors in --logits --batch_size=2 --format=" + format;
    const Result one = run(arguments);
    ASSERT_EQ(one.code, 0) << one.errors;
    for (const int ranks : {2, 3}) {
      const Result several = run(arguments, CONVOY_MPIEXEC " -n " + std::to_string(ranks));
      EXPECT_EQ(several.code, 0) << several.errors;
      EXPECT_EQ(several.output, one.output);
    }
  }
}

TEST_F(PredictCommand, OutIsCompleteOrNotThere) {
  image("a.ppm", 1);
  const std::string said = run("model.safetensors a.ppm").output;
  const Result result = run("model.safetensors a.ppm --out=answers");
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(text_of(directory_ / "answers"), said);
  for (const auto& entry : fs::directory_iterator(directory_)) EXPECT_NE(entry.path().extension(), ".tmp");
  expect_error("model.safetensors a.ppm --out=no-such-directory/x", 73, "no-such-directory/x");
  fs::create_directories(directory_ / "taken");
  expect_error("model.safetensors a.ppm --out=taken", 73, "taken");
}

}  // namespace
}  // namespace convoy
