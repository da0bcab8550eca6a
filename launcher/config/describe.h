// The keys of every section, once.  A visitor gets each key with the field it fills: BindKeys reads it, PrintKeys
// prints it, SchemaKeys documents it.  To add a setting: a field in experiment.h, a line here, or in describe_data.h.
//
// A visitor has  key(field, Key)  for a setting,  elsewhere(Key)  for a key that is gone before sections are read, and
// place(Mark&)  for where the section stands.
#pragma once

#include "launcher/config/describe_data.h"
#include "launcher/config/experiment.h"
#include "launcher/config/key.h"
#include "launcher/config/names.h"

namespace convoy {

template <class Visitor>
void describe(Visitor& v, ExperimentConfig& c) {
  v.key(c.name, {.name = "name",
                 .doc = "names the run directory output_dir/name",
                 .required = true,
                 .pattern = "[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}"});
  v.key(c.seed, {.name = "seed", .doc = "of weights, order, dropout and augmentation", .range = at_least(0)});
  v.key(c.output_dir, {.name = "output_dir", .doc = "holds run directories; relative to the working directory"});
}

template <class Visitor>
void describe(Visitor& v, BaseConfig& c) {
  v.place(c.where);
  v.elsewhere({.name = "config", .doc = "its model file, or a file of another format that has a network in it"});
  v.key(c.name, {.name = "name", .doc = "for people; default: the stem of the model file"});
  v.key(c.classes, {.name = "classes",
                    .doc = "what `units: classes` means in it; default: model.classes",
                    .range = between(1, 1 << 24)});
  v.key(c.layers, {.name = "layers", .doc = "from the image on"});
  v.key(c.top, {.name = "top", .doc = "its classifier"});
  v.key(c.include_top, {.name = "include_top", .doc = "use its classifier too"});
  v.key(c.until,
        {.name = "until", .doc = "its last layer that is used: a name, or a number, from the end if negative"});
  v.key(c.weights, {.name = "weights", .doc = "a file of any format with weights for it", .is_path = true});
  v.key(c.freeze, {.name = "freeze", .doc = "its parameters stay as they are"});
  v.key(c.freeze_until, {.name = "freeze_until", .doc = "those up to this layer stay as they are"});
  v.key(c.learning_rate_scale,
        {.name = "learning_rate_scale", .doc = "times the learning rate, of what is not frozen", .range = at_least(0)});
  v.key(c.batch_norm,
        {.name = "batch_norm", .doc = "frozen layers normalise with: inference: their running statistics"});
}

template <class Visitor>
void describe(Visitor& v, ModelConfig& c) {
  v.place(c.where);
  v.elsewhere({.name = "config", .doc = "file with name, classes, layers and top, in the place of layers"});
  v.elsewhere({.name = "blocks", .doc = "lists of layers with parameters, for use in layers and top"});
  v.key(c.name, {.name = "name", .doc = "for logs and checkpoints; default: the stem of the model file"});
  v.key(c.classes, {.name = "classes",
                    .doc = "what `units: classes` means in layers; default: data.classes",
                    .range = between(1, 1 << 24)});
  v.key(c.base, {.name = "base", .doc = "the front of another network, which comes before layers"});
  v.key(c.layers, {.name = "layers", .doc = "the network, from the image to the logits"});
  v.key(c.weights, {.name = "weights", .doc = "a file of any format that the weights start from", .is_path = true});
  v.key(c.top, {.name = "top", .doc = "the end of the network, which another task replaces; may be part of layers"});
  v.key(c.zero_init_residual, {.name = "zero_init_residual",
                               .doc = "residual branches start at 0: the weight of the norm at their end does"});
}

template <class Visitor>
void describe(Visitor& v, TeacherConfig& c) {
  v.place(c.where);
  v.key(c.file, {.name = "file", .doc = "a network of any format", .required = true, .is_path = true});
  v.key(c.model, {.name = "model", .doc = "a model file, where that has weights only", .is_path = true});
  v.key(c.preprocessing,
        {.name = "preprocessing",
         .doc = "how its images become its input: rgb/255, torch, caffe, tf or none; default: as it says",
         .pattern = "(rgb/255|torch|caffe|tf|none)"});
  v.key(c.weight,
        {.name = "weight", .doc = "of its part of the loss; the labels have the rest", .range = between(0, 1)});
  v.key(c.temperature, {.name = "temperature",
                        .doc = "by which both networks' outputs are divided before they are compared",
                        .range = between(0.01, 1000)});
}

template <class Visitor>
void describe(Visitor& v, LossConfig& c) {
  v.place(c.where);
  v.key(c.type, {.name = "type", .doc = "what training minimises"});
  v.key(c.label_smoothing, {.name = "label_smoothing",
                            .doc = "share of a target that is spread over all classes",
                            .range = from_below(0, 1),
                            .only_for = "type: softmax_cross_entropy or binary_cross_entropy",
                            .applies = c.type != LossType::kMeanSquaredError});
  v.key(c.class_weights, {.name = "class_weights",
                          .doc = "what each class counts in training, one for each; none: all alike",
                          .range = between(0, 1e6),
                          .only_for = "type: softmax_cross_entropy",
                          .applies = c.type == LossType::kSoftmaxCrossEntropy});
  v.key(c.teacher, {.name = "teacher",
                    .doc = "a trained network whose outputs are learned, too: knowledge distillation",
                    .only_for = "type: softmax_cross_entropy",
                    .applies = c.type == LossType::kSoftmaxCrossEntropy});
}

template <class Visitor>
void describe(Visitor& v, BatchConfig& c) {
  v.place(c.where);
  const Range rows = between(1, 1 << 24);
  v.key(c.global, {.name = "global", .doc = "rows per optimizer step, all ranks together", .range = rows});
  v.key(c.micro, {.name = "micro", .doc = "rows per pass; default: largest divisor of global <= 32", .range = rows});
  v.key(c.per_rank, {.name = "per_rank", .doc = "rows per rank: global = per_rank x ranks", .range = rows});
}

template <class Visitor>
void describe(Visitor& v, StageConfig& c) {
  v.place(c.where);
  v.key(c.epochs, {.name = "epochs", .doc = "how long", .required = true, .range = at_least(1)});
  v.key(c.size, {.name = "size", .doc = "[height, width] of training images", .range = between(1, 1 << 16)});
  const Range rows = between(1, 1 << 24);
  v.key(c.global, {.name = "global", .doc = "rows per optimizer step; default: that of batch", .range = rows});
  v.key(
      c.micro,
      {.name = "micro", .doc = "rows per pass; default: batch.micro or batch.per_rank, else as there", .range = rows});
}

template <class Visitor>
void describe(Visitor& v, EarlyStoppingConfig& c) {
  v.place(c.where);
  v.key(c.metric, {.name = "metric", .doc = "of the test data"});
  v.key(c.patience,
        {.name = "patience", .doc = "evaluations without a better value that end the run", .range = at_least(0)});
  v.key(c.min_delta, {.name = "min_delta", .doc = "by how much a better value is better", .range = at_least(0)});
}

template <class Visitor>
void describe(Visitor& v, TrainConfig& c) {
  v.place(c.where);
  v.key(c.epochs, {.name = "epochs", .doc = "passes over the training data", .range = at_least(1)});
  v.key(c.steps, {.name = "steps", .doc = "optimizer steps, in the place of epochs", .range = at_least(1)});
  v.key(c.stages, {.name = "stages", .doc = "epochs, from the first on, with other batches or images of another size"});
  v.key(c.precision, {.name = "precision", .doc = "of activations and weights in the kernels"});
  v.key(c.tf32, {.name = "tf32", .doc = "f32 on a GPU: products with 10 bits of mantissa"});
  v.key(c.deterministic, {.name = "deterministic", .doc = "on a GPU: the same bits in every run"});
  v.key(c.autotune, {.name = "autotune", .doc = "on a GPU: engines chosen by timing them"});
  v.key(c.recompute,
        {.name = "recompute", .doc = "blocks: less memory for activations, computed twice; auto: if memory_mib asks"});
  v.key(c.memory_mib, {.name = "memory_mib", .doc = "that a rank's training may need; 0: any", .range = at_least(0)});
  v.key(c.cuda_graph, {.name = "cuda_graph", .doc = "on a GPU: a step is launched as one graph"});
  v.key(c.sync_bn, {.name = "sync_bn", .doc = "batch norm over all ranks: results depend on their number"});
  v.key(c.eval_every_epochs, {.name = "eval_every_epochs", .doc = "0: only at the end", .range = at_least(0)});
  v.key(c.early_stopping, {.name = "early_stopping", .doc = "the run ends where evaluations get no better"});
  v.key(c.on_nonfinite, {.name = "on_nonfinite", .doc = "when loss or gradients are NaN or infinite"});
  v.key(c.ema_decay, {.name = "ema_decay",
                      .doc = "of a moving average of the weights, which evaluation uses; 0: none",
                      .range = from_below(0, 1)});
  v.key(c.exports, {.name = "exports",
                    .doc = "files in the run directory for the finished model: .h5, .keras, .onnx, .safetensors"});
  v.key(c.export_ema, {.name = "export_ema", .doc = "exports have the averaged weights"});
  v.key(c.log_every_steps, {.name = "log_every_steps", .doc = "steps between log lines", .range = at_least(1)});
  v.key(c.log_every_seconds, {.name = "log_every_seconds", .doc = "seconds between log lines", .range = above(0)});
}

template <class Visitor>
void describe(Visitor& v, ParameterGroup& c) {
  v.place(c.where);
  v.key(c.match, {.name = "match", .doc = "glob pattern of parameter names", .required = true});
  v.key(c.learning_rate_scale,
        {.name = "learning_rate_scale", .doc = "times the learning rate; 0 freezes", .range = at_least(0)});
  v.key(c.weight_decay,
        {.name = "weight_decay", .doc = "instead of the optimizer's, of biases and norms too", .range = at_least(0)});
}

template <class Visitor>
void describe(Visitor& v, LearningRate& c) {
  v.key(c.base, {.name = "base", .doc = "for a global batch of `per` rows", .required = true, .range = above(0)});
  v.key(c.per, {.name = "per",
                .doc = "rows; the learning rate is base x global batch / per",
                .required = true,
                .range = between(1, 1 << 24)});
}

template <class Visitor>
void describe(Visitor& v, OptimizerConfig& c) {
  v.place(c.where);
  v.key(c.type, {.name = "type", .doc = "update rule", .required = true});
  using enum OptimizerType;
  const auto is = [&](auto... types) { return ((c.type == types) || ...); };
  const Range fraction = from_below(0, 1);
  v.key(c.learning_rate,
        {.name = "learning_rate", .doc = "for the global batch, or {base, per}", .required = true, .range = above(0)});
  v.key(c.momentum, {.name = "momentum",
                     .doc = "share of the last update kept",
                     .range = fraction,
                     .only_for = "type: sgd, rmsprop, lars or muon",
                     .applies = is(kSgd, kRmsprop, kLars, kMuon)});
  v.key(c.nesterov, {.name = "nesterov",
                     .doc = "look ahead along the momentum",
                     .only_for = "type: sgd or muon",
                     .applies = is(kSgd, kMuon)});
  v.key(
      c.weight_decay,
      {.name = "weight_decay",
       .doc = "L2, added to the gradient; lamb: to the direction; adamw, filters of muon: times the learning rate, off "
              "the weight itself",
       .range = at_least(0)});
  v.key(c.decay_vectors, {.name = "decay_vectors", .doc = "biases and the parameters of norms decay too"});
  const Key adam{.range = fraction, .only_for = "type: adam, adamw or lamb", .applies = is(kAdam, kAdamw, kLamb)};
  const auto beta = [&](std::string_view name, std::string_view doc) {
    return Key{.name = name, .doc = doc, .range = adam.range, .only_for = adam.only_for, .applies = adam.applies};
  };
  v.key(c.beta1, beta("beta1", "decay of the mean"));
  v.key(c.beta2, beta("beta2", "decay of the mean square"));
  v.key(c.alpha, {.name = "alpha",
                  .doc = "decay of the mean square",
                  .range = fraction,
                  .only_for = "type: rmsprop",
                  .applies = is(kRmsprop)});
  v.key(c.epsilon, {.name = "epsilon",
                    .doc = "added to what is divided by; else 1e-8, of lamb 1e-6",
                    .range = above(0),
                    .only_for = "type: adam, adamw, rmsprop, lars or lamb",
                    .applies = !is(kSgd, kMuon)});
  v.key(c.trust_coefficient, {.name = "trust_coefficient",
                              .doc = "the change of a weight, as a share of its norm, at rate 1",
                              .range = above(0),
                              .only_for = "type: lars",
                              .applies = is(kLars)});
  v.key(c.newton_schulz_steps, {.name = "newton_schulz_steps",
                                .doc = "that make the update of a filter orthogonal",
                                .range = between(1, 100),
                                .only_for = "type: muon",
                                .applies = is(kMuon)});
  v.key(c.renormalize, {.name = "renormalize",
                        .doc = "before an update the norm of a filter is set to the root of its outputs",
                        .only_for = "type: muon",
                        .applies = is(kMuon)});
  v.key(c.clip_norm, {.name = "clip_norm",
                      .doc = "the most that the norm of all gradients together may be; 0: any",
                      .range = at_least(0)});
  v.key(c.clip_value,
        {.name = "clip_value", .doc = "the most that an element of a gradient may be; 0: any", .range = at_least(0)});
  v.key(c.sharded, {.name = "sharded",
                    .doc = "each of several ranks updates, and keeps the state of, its share of the parameters only",
                    .only_for = "type: sgd, adam, adamw or rmsprop",
                    .applies = is(kSgd, kAdam, kAdamw, kRmsprop)});
  v.key(c.groups, {.name = "groups", .doc = "parameters with their own settings; the first match counts"});
  v.key(c.state, {.name = "state", .doc = "a file whose momentum and the like training goes on from", .is_path = true});
  v.key(c.steps_before, {.name = "steps_before",
                         .doc = "updates that this state has seen: Adam's next ones, and exported files, count them",
                         .range = at_least(0)});
}

constexpr double kMostEpochs = 1e6;  // of a part of a schedule

template <class Visitor>
void describe_shape(Visitor& v, ScheduleShape& c) {
  using enum ScheduleType;
  const auto is = [&](auto... types) { return ((c.type == types) || ...); };
  v.key(c.type, {.name = "type", .doc = "of the learning rate after warm-up"});
  v.key(c.step_epochs, {.name = "step_epochs",
                        .doc = "epochs between two drops",
                        .range = at_least(1),
                        .only_for = "type: step",
                        .applies = is(kStep)});
  v.key(c.milestones, {.name = "milestones",
                       .doc = "epochs after which the rate drops",
                       .required = true,
                       .range = above_up_to(0, kMostEpochs),
                       .only_for = "type: multistep",
                       .applies = is(kMultistep)});
  v.key(c.gamma, {.name = "gamma",
                  .doc = "factor of a drop; exponential: of an epoch",
                  .range = above_up_to(0, 1),
                  .only_for = "type: step, multistep or exponential",
                  .applies = is(kStep, kMultistep, kExponential)});
  v.key(c.start, {.name = "start",
                  .doc = "where it begins, as a fraction of the learning rate; else 1, of one_cycle 0.04",
                  .range = between(0, 1),
                  .only_for = "type: constant, polynomial, cosine or one_cycle",
                  .applies = is(kConstant, kPolynomial, kCosine, kOneCycle)});
  v.key(c.final, {.name = "final",
                  .doc = "where it ends, as a fraction of the learning rate",
                  .range = between(0, 1),
                  .only_for = "type: polynomial, cosine or one_cycle",
                  .applies = is(kPolynomial, kCosine, kOneCycle)});
  v.key(c.power, {.name = "power",
                  .doc = "1: a straight line",
                  .range = above(0),
                  .only_for = "type: polynomial",
                  .applies = is(kPolynomial)});
  v.key(c.restart_epochs, {.name = "restart_epochs",
                           .doc = "length of the first cosine of several; 0: one for all epochs",
                           .range = between(0, kMostEpochs),
                           .only_for = "type: cosine",
                           .applies = is(kCosine)});
  v.key(c.restart_factor, {.name = "restart_factor",
                           .doc = "length of each next cosine, times the one before",
                           .range = between(1, 1000),
                           .only_for = "type: cosine",
                           .applies = is(kCosine)});
  v.key(c.rise, {.name = "rise",
                 .doc = "share of all steps in which the rate rises",
                 .range = between(0, 1),
                 .only_for = "type: one_cycle",
                 .applies = is(kOneCycle)});
}

template <class Visitor>
void describe(Visitor& v, SchedulePhaseConfig& c) {
  v.place(c.where);
  describe_shape(v, c);
  v.key(c.epochs, {.name = "epochs",
                   .doc = "how long, behind the warm-up; the last phase has the rest",
                   .range = above_up_to(0, kMostEpochs)});
}

template <class Visitor>
void describe(Visitor& v, PlateauConfig& c) {
  v.place(c.where);
  v.key(c.metric, {.name = "metric", .doc = "of the test data"});
  v.key(c.factor, {.name = "factor", .doc = "of each cut of the learning rate", .range = {0, 1, true, true}});
  v.key(
      c.patience,
      {.name = "patience", .doc = "evaluations without a better value that go by before a cut", .range = at_least(0)});
  v.key(c.threshold, {.name = "threshold", .doc = "by how much a better value is better", .range = at_least(0)});
  v.key(c.threshold_mode, {.name = "threshold_mode", .doc = "rel: the threshold is a share of the best value"});
  v.key(c.cooldown, {.name = "cooldown", .doc = "evaluations after a cut that do not count", .range = at_least(0)});
  v.key(c.min_lr, {.name = "min_lr", .doc = "the least learning rate", .range = at_least(0)});
}

template <class Visitor>
void describe(Visitor& v, ScheduleConfig& c) {
  v.place(c.where);
  describe_shape(v, c);
  v.key(c.warmup_epochs,
        {.name = "warmup_epochs", .doc = "linear warm-up; may be a fraction", .range = between(0, kMostEpochs)});
  v.key(c.warmup_start,
        {.name = "warmup_start", .doc = "fraction of the learning rate at step 0", .range = between(0, 1)});
  v.key(c.phases, {.name = "phases", .doc = "shapes one after another, in the place of one"});
  v.key(c.plateau, {.name = "plateau", .doc = "in the place of a shape: cut where evaluations get no better"});
}

template <class Visitor>
void describe(Visitor& v, DistributedConfig& c) {
  v.place(c.where);
  v.key(c.bucket_mib,
        {.name = "bucket_mib", .doc = "gradients summed at once; 0: by time, measured", .range = between(0, 4096)});
  v.key(c.overlap, {.name = "overlap", .doc = "reduce while backward still runs"});
  v.key(c.transport, {.name = "transport", .doc = "how ranks on the CPU reduce"});
  v.key(c.gradients, {.name = "gradients", .doc = "dtype in which gradients travel"});
  v.key(c.average_every, {.name = "average_every",
                          .doc = "steps; more than 1: ranks train apart, and average their copies",
                          .range = at_least(1)});
  v.key(c.error_feedback, {.name = "error_feedback", .doc = "bf16: what rounding took is added in the next step"});
  v.key(c.share_device, {.name = "share_device", .doc = "ranks may share a GPU and sum through the host"});
}

template <class Visitor>
void describe(Visitor& v, CheckpointConfig& c) {
  v.place(c.where);
  v.key(c.every_steps, {.name = "every_steps", .doc = "0: not by steps", .range = at_least(0)});
  v.key(c.every_epochs, {.name = "every_epochs", .doc = "0: not by epochs", .range = at_least(0)});
  v.key(c.keep, {.name = "keep", .doc = "newest checkpoints kept", .range = at_least(1)});
  v.key(c.best, {.name = "best", .doc = "of the test data: the checkpoint of the best evaluation is kept apart"});
  v.key(c.resume,
        {.name = "resume", .doc = "auto; never; or the checkpoint that a run without checkpoints starts from"});
}

template <class Visitor>
void describe(Visitor& v, MetricsConfig& c) {
  v.place(c.where);
  v.key(c.enabled, {.name = "enabled", .doc = "serve Prometheus metrics from each rank"});
  v.key(c.host, {.name = "host", .doc = "IPv4 address or name to listen on", .pattern = "[A-Za-z0-9.:_-]{1,255}"});
  v.key(c.port, {.name = "port", .doc = "+ local rank; 0: any free port", .range = between(0, 65535)});
}

template <class Visitor>
void describe(Visitor& v, Experiment& c) {
  v.elsewhere({.name = "base", .doc = "file or files to inherit from, relative to this file"});
  v.key(c.experiment, {.name = "experiment", .doc = "the run", .required = true});
  v.key(c.model, {.name = "model", .doc = "the network", .required = true});
  v.key(c.data, {.name = "data", .doc = "the samples", .required = true});
  v.key(c.loss, {.name = "loss", .doc = "what training minimises"});
  v.key(c.batch, {.name = "batch", .doc = "rows per step: {global, micro} or {per_rank}", .required = true});
  v.key(c.train, {.name = "train", .doc = "how long, and in what precision", .required = true});
  v.key(c.optimizer, {.name = "optimizer", .doc = "the update rule", .required = true});
  v.key(c.schedule, {.name = "schedule", .doc = "the learning rate over time"});
  v.key(c.device, {.name = "device", .doc = "auto: cuda when a GPU is usable, else cpu"});
  v.key(c.threads, {.name = "threads", .doc = "per rank; 0: usable cores / local ranks", .range = between(0, 1024)});
  v.key(c.distributed, {.name = "distributed", .doc = "how ranks exchange gradients"});
  v.key(c.checkpoint, {.name = "checkpoint", .doc = "when to save, what to resume"});
  v.key(c.metrics, {.name = "metrics", .doc = "the Prometheus endpoint"});
  v.key(c.progress, {.name = "progress", .doc = "auto: a bar on a terminal, plain lines elsewhere"});
}

}  // namespace convoy
