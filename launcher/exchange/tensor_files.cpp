#include "launcher/exchange/tensor_files.h"

#include <cstring>

#include <nlohmann/json.hpp>

#include "core/io/limited_json.h"
#include "core/io/npy.h"
#include "core/io/zip.h"
#include "launcher/config/parts.h"
#include "launcher/exchange/weights.h"

namespace convoy {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "format";  // "convoy": elements in our order
constexpr const char* kModel = "convoy.model";
constexpr const char* kShape = "convoy.shape";
constexpr const char* kPreprocessing = "convoy.preprocessing";
constexpr const char* kClassNames = "convoy.class_names";
constexpr const char* kOptimizer = "convoy.optimizer";
constexpr const char* kLoss = "convoy.loss";

// ---- Elements

template <class T, class ToFloat>
std::vector<float> converted(std::span<const std::byte> bytes, ToFloat to_float) {
  std::vector<float> values(bytes.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = to_float(value);
  }
  return values;
}

std::vector<float> floats(const NamedTensor& tensor) {
  const auto cast = [](auto value) { return static_cast<float>(value); };
  switch (tensor.type) {
    case StoredType::kF32: return converted<float>(tensor.bytes, cast);
    case StoredType::kBF16: return converted<uint16_t>(tensor.bytes, bf16_to_f32);
    case StoredType::kF16: return converted<uint16_t>(tensor.bytes, f16_to_f32);
    case StoredType::kI32: return converted<int32_t>(tensor.bytes, cast);
    case StoredType::kU8: return converted<uint8_t>(tensor.bytes, cast);
    case StoredType::kI64: return converted<int64_t>(tensor.bytes, cast);
  }
  return {};
}

std::vector<float> floats(const NpyArray& array, const std::string& where) {
  const auto bytes = std::as_bytes(std::span(array.bytes));
  const auto cast = [](auto value) { return static_cast<float>(value); };
  if (array.type == "<f4") return converted<float>(bytes, cast);
  if (array.type == "<f8") return converted<double>(bytes, cast);
  if (array.type == "<f2") return converted<uint16_t>(bytes, f16_to_f32);
  if (array.type == "<i8") return converted<int64_t>(bytes, cast);
  if (array.type == "<i4") return converted<int32_t>(bytes, cast);
  bad_data(where, "weights of type " + array.type + "; expected float32, float64, float16, int32 or int64");
}

// ---- Names

// What others call our parameters and statistics.
std::string our_name(const std::string& name) {
  static const std::pair<std::string_view, std::string_view> kEndings[] = {
      {"running_var", "running_variance"},
      {"kernel", "weight"},
      {"gamma", "weight"},
      {"beta", "bias"},
      {"moving_mean", "running_mean"},
      {"moving_variance", "running_variance"},
  };
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return name;
  for (const auto& [theirs, ours] : kEndings) {
    if (name.substr(dot + 1) == theirs) return name.substr(0, dot + 1) + std::string(ours);
  }
  return name;
}

std::string pytorch_name(const std::string& name) {
  return name.ends_with(".running_variance") ? name.substr(0, name.rfind('.')) + ".running_var" : name;
}

// Wrappers of PyTorch put a prefix before every name: DistributedDataParallel and torch.compile.
void strip_prefixes(std::vector<ForeignTensor>& tensors) {
  for (const std::string_view prefix : {"module.", "_orig_mod."}) {
    const auto has_it = [&](const ForeignTensor& tensor) { return tensor.name.starts_with(prefix); };
    if (!std::ranges::all_of(tensors, has_it)) continue;
    for (ForeignTensor& tensor : tensors) tensor.name.erase(0, prefix.size());
  }
}

// Counters that nothing here needs.
bool is_counter(const std::string& name) { return name.ends_with("num_batches_tracked"); }

// ---- Metadata

const std::string* find(const std::map<std::string, std::string>& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? nullptr : &found->second;
}

std::array<int, 3> parse_shape(const std::string& text, const std::string& where) {
  const json value = parse_limited_json(text, where + ": " + kShape);
  std::array<int, 3> shape{};
  const bool listed = value.is_array() && value.size() == 3;
  for (size_t i = 0; i < 3; ++i) {
    if (!listed || !value[i].is_number_integer() || value[i] < 1 || value[i] > 1 << 20) {
      bad_data(where, std::string(kShape) + ": expected [height, width, channels], found " + text.substr(0, 100));
    }
    shape[i] = value[i].get<int>();
  }
  return shape;
}

std::vector<std::string> parse_class_names(const std::string& text, const std::string& where) {
  const json value = parse_limited_json(text, where + ": " + kClassNames);
  const auto is_text = [](const json& name) { return name.is_string(); };
  if (!value.is_array() || !std::ranges::all_of(value, is_text)) {
    bad_data(where, std::string(kClassNames) + ": expected a list of texts");
  }
  return value.get<std::vector<std::string>>();
}

void read_metadata(ForeignModel& model, const std::map<std::string, std::string>& metadata) {
  if (const std::string* text = find(metadata, kModel)) {
    model.model = *text;
    model.classes = parse_model(*text, model.path).classes;
  }
  if (const std::string* text = find(metadata, kShape)) model.shape = parse_shape(*text, model.path);
  if (const std::string* text = find(metadata, kPreprocessing)) {
    model.preprocessing = parse_preprocessing(*text, model.path);
  }
  if (const std::string* text = find(metadata, kClassNames)) model.class_names = parse_class_names(*text, model.path);
}

bool is_ours(const SafetensorsFile& file) {
  const std::string* format = find(file.metadata(), kFormat);
  return format != nullptr && *format == "convoy";
}

ForeignTensor foreign(const NamedTensor& tensor) {
  return {our_name(tensor.name), tensor.name, {tensor.name, tensor.dims, floats(tensor)}};
}

}  // namespace

std::map<std::string, std::string> describe_network(const ModelConfig& model, const Shape& sample,
                                                    const std::optional<Preprocessing>& preprocessing,
                                                    const std::vector<std::string>& class_names) {
  std::map<std::string, std::string> metadata = {{kModel, show(model)},
                                                 {kShape, json{sample.h, sample.w, sample.c}.dump()}};
  if (preprocessing) metadata[kPreprocessing] = to_json(*preprocessing);
  if (!class_names.empty()) metadata[kClassNames] = json(class_names).dump();
  return metadata;
}

std::map<std::string, std::string> describe_training(const OptimizerConfig& optimizer, const LossConfig& loss) {
  LossConfig alone = loss;
  alone.teacher.reset();  // whoever goes on may not have its file
  return {{kOptimizer, show(optimizer)}, {kLoss, show(alone)}};
}

std::map<std::string, std::vector<float>> elements_of(const std::vector<NamedTensor>& tensors) {
  std::map<std::string, std::vector<float>> elements;
  for (const NamedTensor& tensor : tensors) elements[tensor.name] = floats(tensor);
  return elements;
}

ForeignModel from_safetensors(const SafetensorsFile& file) {
  ForeignModel model;
  model.path = file.name();
  const bool ours = is_ours(file);
  model.format = ours ? "safetensors of Convoy" : "safetensors";
  model.order = ours ? WeightOrder::kConvoy : WeightOrder::kPytorch;
  for (const NamedTensor& tensor : file.tensors()) {
    if (!is_counter(tensor.name)) model.tensors.push_back(foreign(tensor));
  }
  if (!ours) strip_prefixes(model.tensors);
  read_metadata(model, file.metadata());
  return model;
}

std::map<std::string, std::vector<float>> require_averages(const Checkpoint& checkpoint) {
  std::map<std::string, std::vector<float>> averages = averages_in(checkpoint.state.tensors());
  if (!averages.empty()) return averages;
  throw Error(ExitCode::kUsage, checkpoint.path + ": has no averaged weights for --ema: train.ema_decay was 0");
}

ForeignModel from_checkpoint(const Checkpoint& checkpoint, bool averaged) {
  ForeignModel model = from_safetensors(checkpoint.model);
  if (averaged) {
    std::map<std::string, std::vector<float>> averages = require_averages(checkpoint);
    for (ForeignTensor& tensor : model.tensors) {
      const auto found = averages.find(tensor.original);
      if (found == averages.end()) continue;  // frozen
      if (found->second.size() != tensor.tensor.values.size()) {
        bad_data(checkpoint.path, "the average of '" + tensor.original + "' has another size");
      }
      tensor.tensor.values = std::move(found->second);
    }
  }
  model.path = checkpoint.path;
  model.format = "checkpoint of step " + std::to_string(checkpoint.manifest.step) + (averaged ? ", averaged" : "");
  if (averaged) return model;  // the optimizer's state goes with the weights themselves
  const std::string* optimizer = find(checkpoint.optimizer.metadata(), kOptimizer);
  if (const std::string* loss = find(checkpoint.optimizer.metadata(), kLoss)) {
    model.loss = parse_loss(*loss, checkpoint.path);
  }
  if (optimizer == nullptr) return model;
  ForeignTraining& training = model.training.emplace();
  training.optimizer = parse_optimizer(*optimizer, checkpoint.path);
  training.step = training.optimizer.steps_before + checkpoint.manifest.step;
  for (const NamedTensor& tensor : checkpoint.optimizer.tensors()) {
    if (tensor.name != "loss_scale") training.slots.push_back({tensor.name, tensor.name, foreign(tensor).tensor});
  }
  return model;
}

ForeignModel read_npz_model(const std::string& path) {
  const ZipArchive archive(path);
  ForeignModel model;
  model.path = path;
  model.format = "npz";
  model.order = WeightOrder::kPytorch;
  for (const ZipMember& member : archive.members()) {
    const std::string where = path + ": " + member.name;
    if (!member.name.ends_with(".npy")) bad_data(where, "expected arrays only, each called NAME.npy");
    const std::string name = member.name.substr(0, member.name.size() - 4);
    if (is_counter(name)) continue;
    const NpyArray array = parse_npy(archive.read(member.name), where);
    ForeignTensor tensor{our_name(name), name, {name, array.dims, floats(array, where)}};
    if (name.ends_with(".kernel")) tensor.order = WeightOrder::kKeras;
    model.tensors.push_back(std::move(tensor));
  }
  strip_prefixes(model.tensors);
  return model;
}

void write_safetensors_model(FileSystem& files, const std::string& path, const Network& network,
                             const ExportOptions& options) {
  const WeightOrder order = options.pytorch_names ? WeightOrder::kPytorch : WeightOrder::kConvoy;
  std::map<std::string, std::string> metadata =
      describe_network(network.config, network.sample, network.preprocessing, network.class_names);
  metadata[kFormat] = options.pytorch_names ? "pt" : "convoy";
  std::vector<std::vector<float>> memory;
  std::vector<NamedTensor> tensors;
  static constexpr int64_t kNoBatches = 0;
  for (const WeightPlace& place : weight_places(network.model.graph)) {
    memory.push_back(to_order(order, place, network.weights.at(place.name)));
    const std::string name = options.pytorch_names ? pytorch_name(place.name) : place.name;
    tensors.push_back({name, StoredType::kF32, dims_in(order, place), std::as_bytes(std::span(memory.back()))});
    if (options.pytorch_names && name.ends_with(".running_var")) {
      tensors.push_back(
          {place.layer + ".num_batches_tracked", StoredType::kI64, {}, std::as_bytes(std::span(&kNoBatches, 1))});
    }
  }
  require_replaceable(path);
  PendingFile pending(files, path);
  write_safetensors(files, pending.temporary(), std::move(tensors), metadata);
  pending.finish();
}

}  // namespace convoy
