#include "launcher/exchange/open_network.h"

#include <algorithm>
#include <filesystem>

#include "launcher/config/parts.h"

namespace convoy {
namespace {

[[noreturn]] void usage(const std::string& path, const std::string& what) {
  throw Error(ExitCode::kUsage, path + ": " + what);
}

ModelConfig architecture(const ForeignModel& file, const NetworkOptions& options) {
  ModelConfig model;
  if (!options.model_file.empty()) {
    model = load_model(options.model_file);
  } else if (!file.model.empty()) {
    model = parse_model(file.model, file.path);
  } else {
    usage(file.path, "holds weights only (" + file.format + "); say of which network with --model_file=FILE.yaml");
  }
  if (model.name.empty()) model.name = std::filesystem::path(file.path).stem().string();
  return model;
}

// ImageNet's 1000 where nobody says another number: that of the last tensor of the file decides.
int classes_of(const ForeignModel& file) {
  if (file.classes > 0) return file.classes;
  if (!file.class_names.empty()) return static_cast<int>(file.class_names.size());
  const auto last_vector = std::find_if(file.tensors.rbegin(), file.tensors.rend(),
                                        [](const ForeignTensor& tensor) { return tensor.tensor.dims.size() == 1; });
  return last_vector == file.tensors.rend() ? 0 : static_cast<int>(last_vector->tensor.dims[0]);
}

struct Format {
  std::string_view end;
  void (*write)(FileSystem& files, const std::string& path, const Network& network, const ExportOptions& options);
};

template <KerasFormat format>
void write_keras_model(FileSystem&, const std::string& path, const Network& network, const ExportOptions& options) {
  KerasFile file = to_keras(network, options);
  file.format = format;
  file.path = path;
  write_keras(path, file);
}

void write_onnx(FileSystem&, const std::string& path, const Network& network, const ExportOptions& options) {
  write_onnx_model(path, network, options);
}

constexpr Format kFormats[] = {
    {".weights.h5", write_keras_model<KerasFormat::kWeights>},
    {".h5", write_keras_model<KerasFormat::kLegacyModel>},
    {".keras", write_keras_model<KerasFormat::kKeras>},
    {".onnx", write_onnx},
    {".safetensors", write_safetensors_model},
};

const Format& format_of(const std::string& path) {
  for (const Format& format : kFormats) {
    if (path.ends_with(format.end)) return format;
  }
  usage(path, "expected a name that ends in .safetensors, .h5, .weights.h5, .keras or .onnx");
}

}  // namespace

void require_known_format(const std::string& path) { format_of(path); }

void write_network(FileSystem& files, const std::string& path, const Network& network, const ExportOptions& options) {
  format_of(path).write(files, path, network, options);
}

OpenedNetwork open_network(const std::string& path, const NetworkOptions& options) {
  const ForeignModel file = read_model_file(path, options.hdf5);
  OpenedNetwork opened;
  opened.format = file.format;
  opened.notes = file.notes;
  Network& network = opened.network;
  network.config = architecture(file, options);
  if (network.config.classes == 0) network.config.classes = classes_of(file);
  complete(network.config);
  const std::optional<std::array<int, 3>> shape = options.shape ? options.shape
                                                  : file.shape  ? file.shape
                                                                : network.config.shape;
  if (!shape) usage(path, "does not say for images of what shape its network is; give --shape=HEIGHT,WIDTH,CHANNELS");
  network.sample = {1, (*shape)[0], (*shape)[1], (*shape)[2]};
  network.model =
      build_model(network.config, {}, network.sample, {.training = false, .normalize = false, .rewrite = false});
  const std::vector<WeightPlace> places = weight_places(network.model.graph);
  opened.matched = match_weights(places, file);
  if (!options.partial) require_complete(opened.matched, file);
  network.weights = std::move(opened.matched.weights);
  network.preprocessing =
      options.preprocessing.empty() ? file.preprocessing : named_preprocessing(options.preprocessing);
  network.class_names = file.class_names;
  if (file.training) network.training = match_training(places, file);
  return opened;
}

}  // namespace convoy
