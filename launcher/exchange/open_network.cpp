#include "launcher/exchange/open_network.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "core/device/device.h"
#include "core/graph/parameters.h"
#include "launcher/config/parts.h"
#include "launcher/exchange/tensor_files.h"

namespace convoy {
namespace {

[[noreturn]] void usage(const std::string& path, const std::string& what) {
  throw Error(ExitCode::kUsage, path + ": " + what);
}

// Architecture and shape of the images, as far as they are known.
struct Architecture {
  ModelConfig model;
  std::optional<std::array<int, 3>> shape;
};

// The outputs of the network of a file with weights only: those of the matrix of its last layer; 0: unknown.
int classes_in(const ForeignModel& file, const std::vector<WeightPlace>& places) {
  const auto is_matrix = [](const WeightPlace& place) { return place.kind != WeightPlace::Kind::kVector; };
  const auto last = std::find_if(places.rbegin(), places.rend(), is_matrix);
  if (last == places.rend()) return 0;
  const size_t rank = last->kind == WeightPlace::Kind::kLinear ? 2 : 4;  // filters of other layers do not count
  const auto outputs = [&](const ForeignTensor& tensor) {
    const std::vector<int64_t>& dims = tensor.tensor.dims;
    if (dims.size() != rank) return int64_t{0};
    return tensor.order.value_or(file.order) == WeightOrder::kKeras ? dims.back() : dims.front();
  };
  int64_t classes = 0;
  for (const ForeignTensor& tensor : file.tensors) {
    if (tensor.name == last->name) return static_cast<int>(outputs(tensor));
    if (file.in_layer_order && outputs(tensor) > 0) classes = outputs(tensor);
  }
  return static_cast<int>(classes);
}

// For a file that has weights only.
Architecture from_model_file(const ForeignModel& file, const NetworkOptions& options) {
  if (names_foreign_model(options.model_file)) {
    usage(options.model_file, "expected a model file (YAML), as --model_file says the network of weights");
  }
  const Experiment made = load_model(options.model_file, {});
  const auto [h, w, c] = options.shape ? *options.shape : made.data.shape.value();
  const Model model =
      build_model(made.model, {}, {1, h, w, c}, {.training = false, .normalize = false, .rewrite = false});
  const int classes = classes_in(file, weight_places(model.graph));
  const bool says_classes = parse_yaml_file(options.model_file).find("classes") != nullptr;
  if (classes == 0 || classes == made.model.classes || says_classes) return {made.model, made.data.shape};
  return {load_model(options.model_file, {"data.classes=" + std::to_string(classes)}).model, made.data.shape};
}

Architecture architecture(const ForeignModel& file, const NetworkOptions& options) {
  if (!options.model_file.empty()) return from_model_file(file, options);
  if (file.model.empty()) {
    usage(file.path, "holds weights only (" + file.format + "); say of which network with --model_file=FILE.yaml");
  }
  Architecture it{parse_model(file.model, file.path), file.shape};
  if (it.model.classes == 0) it.model.classes = file.classes;
  if (it.model.name.empty()) it.model.name = std::filesystem::path(file.path).stem().string();
  substitute_classes(it.model);
  return it;
}

using Notes = std::vector<std::string>;

// What the file has nothing for, as the layers ask: of `weights` by name.
void start_missing(const Graph& graph, std::map<std::string, std::vector<float>>& weights) {
  const std::unique_ptr<Device> device = make_cpu_device(1);
  Parameters parameters(graph, device->allocator(), device->allocator());
  parameters.initialize(1, 1, *device);
  const auto put = [&](const std::string& name, const Tensor& start) {
    const auto* first = start.as<float>();
    weights.try_emplace(name, first, first + start.type.shape.elements());
  };
  for (const ParameterSlot& slot : parameters.slots()) put(slot.name, parameters.value(slot));
  for (const StateSlot& slot : parameters.state_slots()) put(slot.name, parameters.state(slot));
}

void require_channels(const ForeignModel& file, const std::string& name, const Network& network) {
  const Preprocessing& it = *network.preprocessing;
  const bool of_colours = it.bgr || it.mean.size() == 3 || it.std.size() == 3;
  if (!of_colours || network.sample.c == 3) return;
  usage(file.path, "--preprocessing: " + name + " is for images of 3 channels, and this network takes " +
                       std::to_string(network.sample.c));
}

// What ends so; null: is only read.
struct Format {
  std::string_view end;
  Notes (*write)(FileSystem& files, const std::string& path, const Network& network, const ExportOptions& options);
};

template <KerasFormat format>
Notes write_keras_model(FileSystem&, const std::string& path, const Network& network, const ExportOptions& options) {
  Notes notes;
  KerasFile file = to_keras(network, options, format, notes);
  file.path = path;
  write_keras(path, file);
  return notes;
}

Notes write_onnx(FileSystem&, const std::string& path, const Network& network, const ExportOptions& options) {
  write_onnx_model(path, network, options);
  return {};
}

Notes write_safetensors(FileSystem& files, const std::string& path, const Network& network,
                        const ExportOptions& options) {
  write_safetensors_model(files, path, network, options);
  return {};
}

constexpr Format kFormats[] = {
    {".weights.h5", write_keras_model<KerasFormat::kWeights>},
    {".h5", write_keras_model<KerasFormat::kLegacyModel>},
    {".keras", write_keras_model<KerasFormat::kKeras>},
    {".onnx", write_onnx},
    {".safetensors", write_safetensors},
    {".hdf5", nullptr},
    {".npz", nullptr},
};

// Null: nothing that Convoy knows ends so.
const Format* find_format(const std::string& path) {
  const auto* found = std::ranges::find_if(kFormats, [&](const Format& it) { return path.ends_with(it.end); });
  return found == std::end(kFormats) ? nullptr : found;
}

const Format& written_format(const std::string& path, const std::string& others = "") {
  if (can_write(path)) return *find_format(path);
  std::string ends;
  for (const Format& format : kFormats) {
    if (format.write != nullptr) ends += (ends.empty() ? "" : ", ") + std::string(format.end);
  }
  if (!others.empty()) ends += ", " + others;
  usage(path, "expected a name that ends in one of " + ends);
}

}  // namespace

bool names_foreign_model(const std::string& path) {
  std::error_code ignored;
  return find_format(path) != nullptr || std::filesystem::is_directory(path, ignored) || begins_like_model(path);
}

bool can_write(const std::string& path) {
  const Format* format = find_format(path);
  return format != nullptr && format->write != nullptr;
}

void require_known_format(const std::string& path, const std::string& others) { written_format(path, others); }

std::vector<std::string> write_network(FileSystem& files, const std::string& path, const Network& network,
                                       const ExportOptions& options) {
  return written_format(path).write(files, path, network, options);
}

OpenedNetwork open_network(const std::string& path, const NetworkOptions& options) {
  return open_network(read_model_file(path, options.hdf5, options.averaged), options);
}

OpenedNetwork open_network(const ForeignModel& file, const NetworkOptions& options) {
  OpenedNetwork opened;
  opened.format = file.format;
  opened.notes = file.notes;
  opened.training_notes = file.training_notes;
  Network& network = opened.network;
  Architecture it = architecture(file, options);
  network.config = std::move(it.model);
  const std::optional<std::array<int, 3>> shape = options.shape ? options.shape : file.shape ? file.shape : it.shape;
  if (!shape)
    usage(file.path, "does not say for images of what shape its network is; give --shape=HEIGHT,WIDTH,CHANNELS");
  network.sample = {1, (*shape)[0], (*shape)[1], (*shape)[2]};
  network.model =
      build_model(network.config, {}, network.sample, {.training = false, .normalize = false, .rewrite = false});
  const std::vector<WeightPlace> places = weight_places(network.model.graph);
  network.preprocessing =
      options.preprocessing.empty() ? file.preprocessing : named_preprocessing(options.preprocessing);
  if (!options.preprocessing.empty()) require_channels(file, options.preprocessing, network);
  opened.matched = match_weights(places, file);
  if (!options.partial) require_complete(opened.matched, file);
  network.weights = std::move(opened.matched.weights);
  if (!opened.matched.missing.empty()) start_missing(network.model.graph, network.weights);
  network.class_names = file.class_names;
  const int outputs = network.model.graph.shape(network.model.logits).c;
  if (!file.class_names.empty() && std::ssize(file.class_names) != outputs) {
    bad_data(file.path, "names " + std::to_string(file.class_names.size()) + " classes, and its network has " +
                            std::to_string(outputs));
  }
  if (file.training) network.training = match_training(places, file);
  return opened;
}

}  // namespace convoy
