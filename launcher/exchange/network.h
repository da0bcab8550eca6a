// A network with its weights in host memory: what every reader of a model file ends in, and every writer begins with.
//
//   file ──read──► ForeignModel ──match──► Network ──write──► file
//
// A reader knows its format and turns an architecture into the text of a model file (YAML): from there on there is one
// path, that of our own files.  Tensors keep the order of elements of their format until match_weights(), which knows
// the graph, brings them into ours.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/io/hdf5.h"
#include "core/io/host_tensor.h"
#include "launcher/config/experiment.h"
#include "launcher/model_builder.h"

namespace convoy {

// How an image becomes the input of a network.  Kept with the weights, so that nobody has to remember it.
struct Preprocessing {
  bool bgr = false;                           // channels in the order blue, green, red
  std::vector<double> mean = {0}, std = {1};  // of pixels scaled to [0,1], by channel of the network's input, or one
  CropType crop = CropType::kCentre;          // centre or stretch: of images of another size
  double central = 0.875;                     // of centre: the share of the shorter side
};
// "rgb/255", "torch" (RGB, ImageNet's mean and standard deviation), "caffe" (BGR minus 103.939, 116.779, 123.68; Keras'
// VGG and ResNet v1), "tf" (RGB to [-1,1]), "none" (0 … 255).  Throws Error(kUsage) that lists them.
Preprocessing named_preprocessing(const std::string& name);
// What an experiment does to its images.
Preprocessing preprocessing_of(const DataConfig& data);
// As it is kept in files.  Throws Error(kBadData) that begins with `where`.
std::string to_json(const Preprocessing& preprocessing);
Preprocessing parse_preprocessing(const std::string& json, const std::string& where);

// ---- As it comes from a file

// How the elements of a tensor lie, by the format that it comes from.  Vectors are the same in all of them.
enum class WeightOrder {
  kConvoy,   // conv O,h,w,I; linear O,1,1,I; behind a flatten the inputs are in the order h,w,c
  kPytorch,  // conv O,I,h,w; linear O,I; conv_transpose I,O,h,w; behind a flatten c,h,w.  ONNX's, too
  kKeras,    // conv h,w,I,O; depthwise h,w,I,multiplier; linear I,O; conv_transpose h,w,O,I; behind a flatten h,w,c
};

struct ForeignTensor {
  // In Convoy's terms, "conv1.weight", where the reader knows the architecture; else as in the file, perhaps with its
  // ending made ours ("…running_var" is "…running_variance").
  std::string name;
  std::string original;  // as the file calls it
  HostTensor tensor;
  std::optional<WeightOrder> order = {};  // of its elements; else that of the model
  // Its layer's, as we call it, or "depthwise", where the file has an order only between layers of one type.
  std::string layer_type = {};
};

// What training goes on from.  Slots are in the order of elements of the weights.
struct ForeignTraining {
  OptimizerConfig optimizer;  // type, learning rate, momentum, …
  int64_t step = 0;
  std::vector<ForeignTensor> slots;  // named as in checkpoints: "conv1.weight.momentum" (sgd), ".mean", ".variance"
};

struct ForeignModel {
  std::string path;
  std::string format;  // for people: "Keras 3.11.3, legacy model", "safetensors", "ONNX, opset 17"
  WeightOrder order = WeightOrder::kConvoy;
  std::string model;                        // the text of a model file; "": weights only
  std::optional<std::array<int, 3>> shape;  // [H,W,C] of an image, where the file says it
  int classes = 0;                          // likewise
  std::optional<Preprocessing> preprocessing;
  std::vector<std::string> class_names;
  std::vector<ForeignTensor> tensors;  // in the order of the file
  bool in_layer_order = false;         // tensors may be matched by order where names say nothing (Keras weights)
  std::optional<LossConfig> loss;      // what training minimised, where the file says it and Convoy has it
  std::optional<ForeignTraining> training;
  std::string optimizer_left_out;           // what optimizer it has, and why `training` has nothing of it; or ""
  std::vector<std::string> notes;           // what was left out or changed on the way in, for the user
  std::vector<std::string> training_notes;  // of the loss and the optimizer: for training, not for predictions
};

// Any of: a checkpoint or its directory, safetensors, Keras (.h5, .weights.h5, .keras), ONNX, npz.  Known by its
// content. Throws Error: kNoInput, kBadData naming file and object, kUnavailable (hdf5.h), kConfig for a layer that
// Convoy has not.  `averaged`: of a checkpoint, the averaged weights, without the optimizer; kUsage where there are
// none.
ForeignModel read_model_file(const std::string& path, const Hdf5Options& options = {}, bool averaged = false);
// Whether `path` is a file that begins as one of these formats does.
bool begins_like_model(const std::string& path);

// ---- In Convoy's terms

struct TrainingState {
  OptimizerConfig optimizer;
  int64_t step = 0;
  std::map<std::string, std::vector<float>> slots;  // "conv1.weight.momentum": elements as those of the parameter
  LossConfig loss = {};
};

struct Network {
  ModelConfig config;
  Shape sample;  // of one image
  Model model;   // one row, without normalize, loss and rewriting: graph input "image" f32 [1,H,W,C], value `logits`
  std::map<std::string, std::vector<float>> weights;  // all parameters and states of the graph by name, O,H,W,I
  std::optional<Preprocessing> preprocessing;         // nothing: the file did not say, and the user has to
  std::vector<std::string> class_names;               // by class, or empty
  std::optional<TrainingState> training;
};

}  // namespace convoy
