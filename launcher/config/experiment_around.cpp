#include <algorithm>
#include <filesystem>

#include "launcher/config/compose.h"
#include "launcher/config/parts.h"
#include "launcher/config/visitors.h"
#include "launcher/exchange/open_network.h"
#include "launcher/fetch.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMnistPlaces[] = {"data/mnist", "mnist"};

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string absolute(const std::string& path) { return fs::absolute(path).lexically_normal().string(); }

// "" where the directory has no such file.
std::string idx_file(const std::string& directory, const std::string& name) {
  for (const char* end : {".gz", ""}) {
    if (exists(directory + "/" + name + end)) return absolute(directory + "/" + name + end);
  }
  return "";
}

std::string default_data() {
  for (const char* place : kMnistPlaces) {
    if (exists(place)) return place;
  }
  throw Error(ExitCode::kNoInput,
              "nothing to train on: give an experiment file or --data=PATH; MNIST in data/mnist is found by itself "
              "(convoy data fetch mnist --to=data/mnist)");
}

// Format and files of what lies at `path`.
DataConfig found_data(const std::string& path) {
  if (!exists(path)) throw Error(ExitCode::kNoInput, path + ": no such file or directory" + fetch_advice(path));
  DataConfig data;
  data.path = absolute(path);
  const std::string images = idx_file(path, "train-images-idx3-ubyte");
  if (!images.empty()) {
    data.format = DataFormat::kIdx;
    data.train = {images, idx_file(path, "train-labels-idx1-ubyte"), {}};
    const std::string test = idx_file(path, "t10k-images-idx3-ubyte");
    if (!test.empty()) data.test = {test, idx_file(path, "t10k-labels-idx1-ubyte"), {}};
  } else if (path.ends_with(".npz")) {
    data.format = DataFormat::kNpz;
  } else if (exists(path + "/data_batch_1.bin") || exists(path + "/train.bin") || path.ends_with(".tar.gz")) {
    data.format = DataFormat::kCifar;
  } else {
    data.format = DataFormat::kImages;
  }
  return data;
}

DataConfig data_for(const ForeignModel& model, const std::string& path) {
  DataConfig data = found_data(path.empty() ? default_data() : path);
  data.classes = model.classes;
  data.shape = model.shape;
  const Preprocessing preprocessing = model.preprocessing.value_or(Preprocessing{});
  data.channel_order = preprocessing.bgr ? ChannelOrder::kBgr : ChannelOrder::kRgb;
  data.crop.type = preprocessing.crop;
  data.crop.central = preprocessing.central;
  data.mean = preprocessing.mean;
  data.std = preprocessing.std;
  return data;
}

// That of the model file, where its format can be written.
std::string export_name(const std::string& model_file) {
  const fs::path path(model_file);
  return can_write(model_file) ? path.filename().string() : path.stem().string() + ".safetensors";
}

[[noreturn]] void no_optimizer(const ForeignModel& model) {
  const std::string& left_out = model.optimizer_left_out;
  throw Error(ExitCode::kConfig,
              model.path +
                  (left_out.empty() ? ": has no optimizer (it was not compiled)" : ": its optimizer " + left_out) +
                  "; give one, as in optimizer.type=sgd optimizer.learning_rate=0.01");
}

void add(Node& map, const char* key, Node value) {
  if (value.where.source.empty()) value.where.source = "command line";  // which is why it is as it is
  value.key = key;
  map.children.push_back(std::move(value));
}

}  // namespace

Experiment experiment_around(const std::string& model_file, const std::string& data,
                             const std::vector<std::string>& overrides, const Hdf5Options& hdf5) {
  if (exists(model_file) && !names_foreign_model(model_file)) {
    throw Error(ExitCode::kUsage, model_file +
                                      ": a model file says nothing of data and training; give an experiment file, too, "
                                      "or a file with weights");
  }
  const ForeignModel model = read_model_file(model_file, hdf5);
  if (model.model.empty()) {
    throw Error(ExitCode::kConfig, model_file + ": has weights only; an experiment file must say of which network");
  }
  Experiment made;
  made.experiment.name = fs::path(model_file).stem().string();
  made.data = data_for(model, data);
  made.train.epochs = 1;
  made.train.exports = {export_name(model_file)};
  made.batch.global = 32;  // as Keras' fit()

  Node tree{.kind = Node::Kind::kMap, .where = {model_file, 0, 0}};
  add(tree, "experiment", to_node(made.experiment));
  Node config{.kind = Node::Kind::kMap};
  add(config, "config", text_node(absolute(model_file)));
  add(tree, "model", std::move(config));
  add(tree, "data", to_node(made.data));
  add(tree, "batch", to_node(made.batch));
  add(tree, "train", to_node(made.train));
  if (model.loss) add(tree, "loss", to_node(*model.loss));
  if (model.training) {
    OptimizerConfig optimizer = model.training->optimizer;
    if (!model.training->slots.empty()) optimizer.state = absolute(model_file);
    optimizer.steps_before = model.training->step;
    add(tree, "optimizer", to_node(optimizer));
  } else {
    const auto says = [](const std::string& text) { return text.starts_with("optimizer"); };
    if (std::ranges::none_of(overrides, says)) no_optimizer(model);
    Node optimizer{.kind = Node::Kind::kMap, .where = {model_file, 0, 0}};
    add(tree, "optimizer", std::move(optimizer));
  }
  return experiment_of(std::move(tree), overrides, hdf5);
}

}  // namespace convoy
