// An experiment as plain structs: the YAML keys with their types, defaults and reasons.
//
// A struct here is a section of the file; describe.h lists its keys, ranges and documentation once for reading,
// printing and the schema.  Nothing here knows YAML text; Node appears only as the parameters of a layer, which the
// model builder reads through Params.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/data/augment.h"
#include "core/device/types.h"
#include "core/io/hdf5.h"
#include "core/train/schedule.h"
#include "core/train/watch.h"
#include "launcher/config/yaml.h"

namespace convoy {

enum class DataFormat { kIdx, kNpy, kNpz, kCifar, kImages, kSynthetic };
enum class DataCache { kNone, kRam, kDevice };
enum class CropType { kRandomResized, kCentre, kStretch };
enum class OnError { kFail, kSkip };
enum class ChannelOrder { kRgb, kBgr };
enum class Sharding { kShared, kLocal };
enum class LastBatch { kDrop };
enum class FrozenBatchNorm { kInference, kTrain };
enum class LossType { kSoftmaxCrossEntropy, kBinaryCrossEntropy, kMeanSquaredError };
enum class NonFinitePolicy { kStop };
enum class OptimizerType { kSgd, kAdam, kAdamw, kRmsprop, kLars, kLamb, kMuon };
constexpr bool is_adam(OptimizerType type) { return type == OptimizerType::kAdam || type == OptimizerType::kAdamw; }
using ScheduleType = ScheduleOptions::Type;
enum class Precision { kAuto, kF32, kBF16, kF16 };
enum class Recompute { kNone, kBlocks, kAuto };
enum class CudaGraph { kAuto, kOn, kOff };
enum class DeviceChoice { kAuto, kCpu, kCuda };
enum class Transport { kAuto, kShared, kHierarchical, kProgressThread };
enum class ProgressStyle { kAuto, kBar, kPlain, kNone };

struct ExperimentConfig {
  std::string name;                 // the run directory is output_dir/name
  uint64_t seed = 1;                // of initial weights, order, dropout and augmentation; not of timing
  std::string output_dir = "runs";  // relative to the working directory, as for any program's output
};

// One item of a list of layers: `- relu` or `- conv2d: {filters: 32, kernel: 3}`.  params.h reads the parameters.
struct LayerConfig {
  std::string type;
  Node parameters;   // a map, empty for a plain name
  Mark where;        // of the type
  std::string path;  // "model.layers[3].conv2d"
};

// The front of another network, under the layers of this one.
struct BaseConfig {
  std::string name;                 // for people
  int classes = 0;                  // what `units: classes` means in it; 0 while reading means model.classes
  std::vector<LayerConfig> layers;  // of that network, from the image on
  std::vector<LayerConfig> top;     // its classifier
  bool include_top = false;
  std::optional<std::string> until;    // its last layer that is used: a name, or a number as Python counts a list
  std::optional<std::string> weights;  // a file of any format with weights for it; else they start as its layers ask
  bool freeze = false;                 // all of it
  std::optional<std::string> freeze_until;  // or only up to this layer, as for `until`
  double learning_rate_scale = 1;           // of what is not frozen
  // Of frozen layers.  inference: the statistics stand still, as in Keras; train: they go on, as in PyTorch.
  FrozenBatchNorm batch_norm = FrozenBatchNorm::kInference;
  Mark where = {};
};

struct ModelConfig {
  std::string name;                    // for logs and checkpoints; default: the stem of the model file
  int classes = 0;                     // outputs of the last layer; 0 while reading means data.classes
  std::optional<BaseConfig> base;      // comes before layers
  std::vector<LayerConfig> layers;     // normalize and the loss are added by the model builder
  std::vector<LayerConfig> top;        // behind them: the classifier, which a new task replaces
  std::optional<std::string> weights;  // a file of any format that they start from; else as the layers ask
  bool zero_init_residual = false;     // what `zero_init` is in a residual that does not say it
  Mark where;
};

struct SampleFiles {
  std::string images, labels;  // absolute paths
  Mark where;
};

// How an image of any size becomes one of data.shape.
struct CropConfig {
  CropType type = CropType::kRandomResized;      // of training; random_resized is what ImageNet recipes mean
  std::array<double, 2> scale = {0.08, 1};       // random_resized: share of the area
  std::array<double, 2> ratio = {0.75, 4. / 3};  // random_resized: width by height
  double central = 0.875;                        // centre, and evaluation but of stretch: share of the shorter side
  Mark where;
};

// Of training samples; each draw is a function of (experiment.seed, epoch, sample).  Applied in this order.
struct AugmentConfig {
  double flip = 0;   // probability, left to right
  int pad_crop = 0;  // pixels: zeros around, and a crop of the old size somewhere
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;  // strengths, as torchvision's ColorJitter
  double rotation = 0;                                           // degrees, either way
  AugmentPolicy policy = AugmentPolicy::kNone;
  int operations = 2;  // randaugment: of each image
  int magnitude = 9;   // randaugment: 0 to 30
  double erasing = 0;  // probability of one rectangle; excludes cutout
  int cutout = 0;      // side of a square in pixels
  Mark where;
};

// Two samples of a micro-batch as one, with the labels of both.
struct MixConfig {
  double mixup = 0;        // alpha of Beta(alpha, alpha), from which the share is drawn; 0: off
  double cutmix = 0;       // likewise; where both are on, each takes every other row by chance
  double probability = 1;  // of a row
};

struct DataConfig {
  DataFormat format = DataFormat::kIdx;
  int classes = 0;                          // labels are 0 … classes-1
  std::optional<int> ignore_label;          // idx, npy, npz: samples with this one are left out
  std::optional<SampleFiles> train, test;   // idx, npy; test may be absent: then nothing is evaluated
  std::string path;                         // npz, cifar: of train and test; images: to train on, or both
  std::optional<std::string> test_path;     // images
  double validation = 0;                    // images: share of path that is not trained on but evaluated
  std::optional<std::array<int, 3>> shape;  // [H,W,C]; else that of the samples: smaller ones are padded
  CropConfig crop;                          // images
  int train_size = 1024;                    // synthetic: samples
  int test_size = 256;
  std::vector<double> mean = {0};  // of pixels scaled to [0,1]; one number for all channels or one per channel
  std::vector<double> std = {1};   // likewise
  ChannelOrder channel_order = ChannelOrder::kRgb;  // in which the network sees pixels; mean and std go with it
  LastBatch last = LastBatch::kDrop;                // a short last global batch would change the meaning of a step
  // ram: decoded samples are kept.  device: the whole set is decoded once into the memory of the device, where batches
  // are gathered.  For sets that fit; the page cache of the system keeps files in any case.
  DataCache cache = DataCache::kNone;
  AugmentConfig augment;
  MixConfig mix;
  // local: each host has training samples of its own, of which its ranks take; results then depend on the hosts.
  Sharding sharding = Sharding::kShared;
  // skip: the next good sample takes the place of a bad one, which is reported; wrong data is better noticed, so fail.
  OnError on_error = OnError::kFail;
  double max_bad = 0.001;          // skip: share of bad samples above which the run stops
  int workers = 0;                 // loader threads per rank; 0: more whenever a step waits for data
  int prefetch = 2;                // batches ready ahead: one in use, one waiting
  std::optional<int> train_limit;  // only the first n samples: quick trials
  std::optional<int> test_limit;
  Mark where;
};

// A network that a distilled one learns from, see launcher/teacher.h.
struct TeacherConfig {
  std::string file;                               // of any format
  std::optional<std::string> model = {};          // a model file, where that has weights only
  std::optional<std::string> preprocessing = {};  // of its images, see named_preprocessing(); else as the file says
  double weight = 0.9;                            // of its part of the loss; the labels have the rest
  double temperature = 4;                         // both defaults: Tian, Krishnan and Isola 2020, arXiv:1910.10699
  Mark where = {};
};

// What training minimises.  layers/softmax_cross_entropy.h and class_losses.h have the formulas.
struct LossConfig {
  LossType type = LossType::kSoftmaxCrossEntropy;
  double label_smoothing = 0;         // of the cross-entropies: this share of each target is spread over all classes
  std::vector<double> class_weights;  // softmax_cross_entropy: of each class; none: all count alike
  std::optional<TeacherConfig> teacher = {};  // softmax_cross_entropy; excludes class_weights
  Mark where = {};
};

// {global, micro?} keeps the result independent of the number of ranks; {per_rank} grows with it.
struct BatchConfig {
  std::optional<int> global = {};    // rows per optimizer step over all ranks
  std::optional<int> micro = {};     // rows per forward and backward pass; default: largest divisor of global <= 32
  std::optional<int> per_rank = {};  // micro = per_rank, global = per_rank × world
  Mark where = {};
  std::string path = "batch";  // of the keys, for messages
};

// Counted in evaluations, so in epochs where every epoch ends in one.
struct EarlyStoppingConfig : EarlyStoppingOptions {
  Mark where;
};

// Epochs whose training batches are others; at least one of size, global and micro is given.
struct StageConfig {
  int epochs = 1;
  std::optional<std::array<int, 2>> size;  // [H,W] of training images; else those of data.shape
  std::optional<int> global, micro;        // as in BatchConfig; else those of batch, whose per_rank is a micro
  Mark where;
};

struct TrainConfig {
  std::optional<int> epochs;  // exactly one of epochs and steps
  std::optional<int64_t> steps;
  std::vector<StageConfig> stages;  // from the first epoch on; the rest, if any, is as data.shape and batch say
  // Of activations and weights in the kernels; master weights are f32.  auto: bf16 on a GPU, f32 on the CPU.
  Precision precision = Precision::kAuto;
  bool tf32 = false;                        // f32 on a GPU: products of 10 bits of mantissa, several times faster
  bool deterministic = true;                // a GPU's engines give the same bits in every run
  bool autotune = false;                    // a GPU's engines are chosen by timing them: faster steps, a slower start
  Recompute recompute = Recompute::kNone;   // blocks: their values are computed twice, so that less memory is needed
  double memory_mib = 0;                    // that a rank may need, see launcher/memory_needs.h; 0: any
  CudaGraph cuda_graph = CudaGraph::kAuto;  // off: to find out whether a fault lies in the capture
  bool sync_bn = false;                     // batch norm over the micro-batches of all ranks, one of each
  int eval_every_epochs = 1;                // 0: only at the end
  std::optional<EarlyStoppingConfig> early_stopping;
  NonFinitePolicy on_nonfinite = NonFinitePolicy::kStop;
  double ema_decay = 0;              // of a moving average of the weights, which evaluation then uses; 0: there is none
  std::vector<std::string> exports;  // files that the finished model is also written to, in the run directory
  bool export_ema = false;           // with the averaged weights
  int log_every_steps = 50;          // a log line when either is due
  double log_every_seconds = 1;
  Mark where;
};

// Parameters whose name matches `match` (glob: * and ?); the first matching group counts.
struct ParameterGroup {
  std::string match;
  double learning_rate_scale = 1;      // 0 freezes
  std::optional<double> weight_decay;  // instead of the optimizer's, of vectors too
  Mark where;
};

// A number, or {base, per}: `base` for a global batch of `per` rows, and in proportion for others (the linear rule of
// Goyal et al. 2017).
struct LearningRate {
  double base = 0;
  std::optional<int> per = {};

  double of(int global_batch) const { return per ? base * global_batch / *per : base; }
};

struct OptimizerConfig {
  OptimizerType type = OptimizerType::kSgd;
  LearningRate learning_rate;  // for the global batch; never scaled behind the user's back
  double momentum = 0;         // sgd, rmsprop, lars, muon
  bool nesterov = false;       // sgd, muon
  // L2, added to the gradient; lamb: to the direction; adamw, filters of muon: times the rate, off the weight itself
  double weight_decay = 0;
  bool decay_vectors = false;        // biases and the parameters of norms decay too
  bool sharded = false;              // sgd, adam, adamw, rmsprop: a rank keeps the state of its part only
  double beta1 = 0.9;                // adam, adamw, lamb
  double beta2 = 0.999;              // adam, adamw, lamb
  double alpha = 0.99;               // rmsprop
  std::optional<double> epsilon;     // all but sgd and muon; else 1e-8, of lamb 1e-6
  double trust_coefficient = 0.001;  // lars
  int newton_schulz_steps = 3;       // muon: more make the update more orthogonal
  bool renormalize = true;           // muon: before an update a filter's norm is set to the root of its rows
  double clip_norm = 0;              // the most that the norm of all gradients together may be; 0: any
  double clip_value = 0;             // the most that an element of a gradient may be; 0: any
  std::vector<ParameterGroup> groups;
  std::optional<std::string> state;  // a file whose momentum and the like training goes on from; else zeros
  int64_t steps_before = 0;          // updates that this state has seen
  Mark where;

  double epsilon_used() const { return epsilon.value_or(type == OptimizerType::kLamb ? 1e-6 : 1e-8); }
};

// Fractions are of learning_rate.  ScheduleOptions (core/train/schedule.h) has the formulas.
struct ScheduleShape {
  ScheduleType type = ScheduleType::kConstant;
  int step_epochs = 30;            // step: every so many epochs the rate is multiplied by gamma
  std::vector<double> milestones;  // multistep: the epochs after which it is, warm-up included
  double gamma = 0.1;              // step, multistep; exponential: of an epoch
  std::optional<double> start;     // constant, polynomial, cosine, one_cycle: a fraction; else 1, of one_cycle 0.04
  double final = 0;                // polynomial, cosine, one_cycle: a fraction
  double power = 1;                // polynomial
  double restart_epochs = 0;       // cosine: length of the first of several; 0: one only
  int restart_factor = 1;          // cosine: each is so many times as long as the one before
  double rise = 0.3;               // one_cycle: share of all steps in which the rate rises
};

struct SchedulePhaseConfig : ScheduleShape {
  std::optional<double> epochs;  // behind the warm-up; none for the last one, which has the rest
  Mark where;
};

struct PlateauConfig : PlateauOptions {
  Mark where;
};

struct ScheduleConfig : ScheduleShape {
  double warmup_epochs = 0;  // linear from warmup_start × learning_rate; may be a fraction of an epoch
  double warmup_start = 0;
  std::vector<SchedulePhaseConfig> phases;  // one after another, in the place of `type`
  std::optional<PlateauConfig> plateau;     // likewise: the rate falls where evaluations get no better
  Mark where;
};

struct DistributedConfig {
  double bucket_mib = 0;                   // 0: by time, ten times the latency of a sum, which is measured
  bool overlap = true;                     // false: one reduction after backward, to measure what overlap gains
  Transport transport = Transport::kAuto;  // shared window within a host, messages between hosts
  Dtype gradients = Dtype::kF32;           // as which they travel; bf16 is half the bytes, and rounds
  int64_t average_every = 1;    // more: ranks update copies of their own, and average them in so many steps once
  bool error_feedback = false;  // bf16: what rounding took is added to the next step's gradients
  bool share_device = false;    // ranks may share a GPU: sums then go through the host, which is slow; for tests
  Mark where = {};
};

struct CheckpointConfig {
  int64_t every_steps = 0;     // 0: not by steps
  int every_epochs = 1;        // 0: not by epochs
  int keep = 2;                // newest ones kept; two, so that a damaged one is not the only one
  std::optional<Metric> best;  // of the test data: the checkpoint of the best evaluation is kept apart
  // auto: the newest whole checkpoint of the run directory; a path: where a directory without checkpoints starts from;
  // never: a directory with checkpoints is refused.
  std::string resume = "auto";
  Mark where = {};
};

struct MetricsConfig {
  bool enabled = false;
  std::string host = "127.0.0.1";  // metrics are not public unless asked for
  int port = 9600;                 // + local rank; 0: any free port
  Mark where;
};

struct Experiment {
  ExperimentConfig experiment;
  ModelConfig model;
  DataConfig data;
  LossConfig loss;
  BatchConfig batch;
  TrainConfig train;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  DeviceChoice device = DeviceChoice::kAuto;  // cuda when a GPU is usable, else cpu
  int threads = 0;                            // per rank; 0: usable cores / local ranks
  DistributedConfig distributed;
  CheckpointConfig checkpoint;
  MetricsConfig metrics;
  ProgressStyle progress = ProgressStyle::kAuto;  // a bar on a terminal, plain lines elsewhere
};

// Reads, merges and checks everything: base files, `key=value` overrides, the model file.  An Experiment that this
// returns is complete and consistent as far as one file can tell.  Throws Error with kConfig (78), kNoInput (66) for a
// missing file, kUsage (64) for an override without '='; the message starts with file:line:column.
// `hdf5` is for the files of Keras that it names as models.
Experiment load_experiment(const std::string& path, const std::vector<std::string>& overrides,
                           const Hdf5Options& hdf5 = {});

// Likewise from a model file alone, as if an experiment trained it on the synthetic images of the size and number of
// classes that its key `made_for` says: {shape: [H,W,C], classes}, by default [224,224,3] and
// its key `classes`, or 1000.
Experiment load_model(const std::string& path, const std::vector<std::string>& overrides, const Hdf5Options& hdf5 = {});

// Whether the YAML in `path` is a model file (with `layers`), not an experiment.  Throws as load_experiment().
bool is_model_file(const std::string& path);

// The resolved experiment as canonical YAML: every key with its value, the model inlined.  Loading it gives the same
// text again, so equal text means equal experiments; ranks compare its hash.
std::string show(const Experiment& experiment);

// JSON Schema (draft 2020-12) of the file: keys, types, ranges, defaults, documentation.
std::string schema();

// The batch of a run with `world` ranks.
struct ResolvedBatch {
  int global = 0;         // rows per optimizer step
  int micro = 0;          // rows per pass; divides global
  int micro_batches = 0;  // global / micro, at least world
};

// Throws Error(kConfig) when micro does not divide global or when there are fewer micro-batches than ranks.
ResolvedBatch resolve(const BatchConfig& batch, int world);

// Throws Error(kConfig) when `samples` to train on are fewer than a global batch: an epoch would have no step.
void require_full_batch(const BatchConfig& batch, int64_t samples, int world);

// Of each of train.stages, then that of the rest.
std::vector<BatchConfig> batches(const Experiment& experiment);

}  // namespace convoy
