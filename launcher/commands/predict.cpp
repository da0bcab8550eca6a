// convoy predict: what a network says of images.
//
// Ranks take batches of the list in turn, batch b is rank b mod n's, and after each round rank 0 writes what all said,
// in the order of the list.  A batch has the same rows whatever the number of ranks.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/in_order.h"
#include "core/base/log.h"
#include "core/base/threads.h"
#include "dist/agreement.h"
#include "launcher/binding.h"
#include "launcher/collective_errors.h"
#include "launcher/commands/commands.h"
#include "launcher/inference.h"
#include "launcher/network_flags.h"
#include "launcher/picture_list.h"
#include "launcher/prediction_text.h"
#include "launcher/setup.h"
#include "launcher/stopwatch.h"

namespace convoy {
namespace {

constexpr int kDefaultBatch = 32, kDefaultTop = 5;
constexpr int64_t kChunk = 8;     // images that a loader thread reads at once
constexpr int kMostLoaders = 16;  // threads; each has up to 4 chunks in memory
constexpr int64_t kMostClassFileBytes = 64 << 20;

[[noreturn]] void usage(const std::string& message) { throw Error(ExitCode::kUsage, message); }

int number(const CommandLine& line, const std::string& name, int otherwise) {
  const std::string text = flag(line, name);
  int value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);  // checked when it was read
  return value;
}

template <class T, size_t N>
T choice(const CommandLine& line, const std::string& name, const std::array<std::pair<const char*, T>, N>& choices) {
  const std::string text = flag(line, name, choices.front().first);
  std::string known;
  for (const auto& [word, value] : choices) {
    if (text == word) return value;
    known += (known.empty() ? "" : ", ") + std::string(word);
  }
  usage("--" + name + ": expected one of " + known + ", found '" + text + "'");
}

// Of the settings of an experiment, those that a prediction has.
Experiment settings(const CommandLine& line) {
  Experiment experiment;
  experiment.device = choice<DeviceChoice, 3>(
      line, "device", {{{"auto", DeviceChoice::kAuto}, {"cpu", DeviceChoice::kCpu}, {"cuda", DeviceChoice::kCuda}}});
  experiment.train.precision = choice<Precision, 4>(
      line, "precision",
      {{{"auto", Precision::kAuto}, {"f32", Precision::kF32}, {"bf16", Precision::kBF16}, {"f16", Precision::kF16}}});
  experiment.threads = number(line, "threads", 0);
  experiment.distributed.share_device = true;  // ranks share no tensors, so they need no connection between devices
  return experiment;
}

// ---- Set-up

std::vector<std::string> read_class_names(const std::string& path, int classes) {
  const std::vector<std::byte> bytes = read_file(path, kMostClassFileBytes);
  std::vector<std::string> names;
  std::string name;
  for (const std::byte byte : bytes) {
    const char c = std::to_integer<char>(byte);
    if (c == '\n') names.push_back(std::move(name)), name.clear();
    if (c != '\n' && c != '\r') name += c;
  }
  if (!name.empty()) names.push_back(std::move(name));
  if (names.size() != static_cast<size_t>(classes)) {
    bad_data(path, "expected " + std::to_string(classes) + " names, one a line, found " + std::to_string(names.size()));
  }
  return names;
}

ImageCrop crop_of(const Network& network) {
  const Preprocessing it = network.preprocessing.value_or(Preprocessing{});
  return {.type = it.crop == CropType::kStretch ? ImageCrop::Type::kStretch : ImageCrop::Type::kCentre,
          .central = it.central};
}

std::string fingerprint(const Network& network) {
  Hash128 hash;
  for (const auto& [name, values] : network.weights) hash.update(std::as_bytes(std::span(values)));
  return network.config.name + ", weights " + hash.hex();
}

void require_preprocessing(const std::string& path, const Network& network, const PictureList& list) {
  if (network.preprocessing || list.floats()) return;
  usage(path +
        " does not say how an image becomes its input; give --preprocessing=NAME, one of rgb/255, torch, caffe, tf "
        "and none");
}

// Batches of equal size, as far as that goes, so that the last is not nearly empty.
int rows_of_batch(int64_t images, int most) {
  const int64_t batches = (images + most - 1) / most;
  return static_cast<int>((images + batches - 1) / batches);
}

// Decoding an image takes a fraction of the time that a CPU needs to look at it.
int loader_threads(const Backend& backend, int threads) {
  const bool on_cpu = backend.device->kind() == DeviceKind::kCpu;
  return std::clamp(on_cpu ? threads / 4 : threads, 1, kMostLoaders);
}

// ---- Where it goes

// Rank 0's: standard output, or a file that appears when it is complete.
class Output {
 public:
  explicit Output(std::string path) : path_(std::move(path)) {
    if (path_.empty()) return;
    require_replaceable(path_);
    pending_ = std::make_unique<PendingFile>(files_, path_);
    file_ = files_.create(pending_->temporary());
  }
  void write(const std::string& text) {
    if (file_) return file_->write(std::as_bytes(std::span(text)));
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
      throw Error(ExitCode::kIo, "standard output: cannot write");
    }
  }
  void finish() {
    if (!file_) return;
    file_->sync();
    file_->close();
    pending_->finish();
  }

 private:
  PosixFileSystem files_;
  const std::string path_;
  std::unique_ptr<PendingFile> pending_;
  std::unique_ptr<OutputFile> file_;
};

// ---- The work

// What a rank says of one batch.
struct Said {
  std::string predictions;
  std::vector<std::string> errors;  // of images that cannot be read
};

std::string packed(const Said& said) {
  std::string bytes = said.predictions;
  for (const std::string& error : said.errors) bytes += '\0' + error;
  return bytes;
}

Said unpacked(const std::string& bytes) {
  Said said;
  size_t end = bytes.find('\0');
  said.predictions = bytes.substr(0, end);
  while (end != std::string::npos) {
    const size_t begin = end + 1;
    end = bytes.find('\0', begin);
    said.errors.push_back(bytes.substr(begin, end == std::string::npos ? end : end - begin));
  }
  return said;
}

class Prediction {
 public:
  Prediction(const PictureList& list, Inference& inference, PredictionText& text, RankGroup& group, Output* output)
      : list_(list), inference_(inference), text_(text), group_(group), output_(output), rows_(inference.rows()) {
    batch_.resize(static_cast<size_t>(rows_ * list.bytes_each()));
  }

  // Collective.  Returns how many images could not be read.
  int64_t run(int loaders) {
    if (output_ != nullptr) output_->write(text_.heading());
    const int64_t batches = (list_.size() + rows_ - 1) / rows_;
    const int64_t rounds = (batches + group_.size() - 1) / group_.size();
    const int64_t mine = (batches - group_.rank() + group_.size() - 1) / group_.size();
    const int64_t chunks = (rows_ + kChunk - 1) / kChunk;  // of a batch
    in_order(
        mine * chunks, loaders, [&](int64_t i, int) { return read(batch_of(i / chunks), i % chunks); },
        [&](int64_t i, Chunk&& chunk) {
          take(std::move(chunk));
          if (i % chunks == chunks - 1) exchange(predict(batch_of(i / chunks)));
        });
    for (int64_t round = mine; round < rounds; ++round) exchange({});
    return bad_;
  }

 private:
  struct Chunk {
    std::vector<std::byte> bytes;
    std::vector<std::string> errors;  // by image, "" for none
  };
  int64_t batch_of(int64_t round) const { return round * group_.size() + group_.rank(); }
  int64_t end_of(int64_t batch) const { return std::min(list_.size(), (batch + 1) * rows_); }

  Chunk read(int64_t batch, int64_t number) const {
    const int64_t begin = batch * rows_ + number * kChunk;
    const int64_t end = std::min({end_of(batch), begin + kChunk, (batch + 1) * rows_});
    Chunk chunk;
    if (begin >= end) return chunk;
    const auto each = static_cast<size_t>(list_.bytes_each());
    chunk.bytes.resize(static_cast<size_t>(end - begin) * each);
    chunk.errors.resize(static_cast<size_t>(end - begin));
    for (size_t i = 0; i < chunk.errors.size(); ++i) {
      const std::span<std::byte> to = std::span(chunk.bytes).subspan(i * each, each);
      try {
        list_.read(begin + static_cast<int64_t>(i), to);
      } catch (const Error& error) {
        const bool of_the_image = error.code() == ExitCode::kBadData || error.code() == ExitCode::kNoInput ||
                                  error.code() == ExitCode::kPermission;
        if (!of_the_image) throw;
        chunk.errors[i] = error.what();
        std::ranges::fill(to, std::byte{0});
      }
    }
    return chunk;
  }

  void take(Chunk&& chunk) {
    std::ranges::copy(chunk.bytes, batch_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ += chunk.bytes.size();
    std::ranges::move(chunk.errors, std::back_inserter(errors_));
  }

  Said predict(int64_t batch) {
    const std::span<const float> logits = infer();
    const auto classes = static_cast<size_t>(inference_.classes());
    Said said;
    for (size_t i = 0; i < errors_.size(); ++i) {
      const int64_t image = batch * rows_ + static_cast<int64_t>(i);
      if (errors_[i].empty()) {
        text_.append(said.predictions, list_.name(image), logits.subspan(i * classes, classes));
      } else {
        const std::string name = list_.name(image);
        said.errors.push_back(errors_[i].find(name) == std::string::npos ? name + ": " + errors_[i] : errors_[i]);
      }
    }
    used_ = 0;
    errors_.clear();
    return said;
  }

  std::span<const float> infer() {
    if (list_.floats()) return inference_.run(std::span(reinterpret_cast<const float*>(batch_.data()), used_ / 4));
    return inference_.run(std::span(reinterpret_cast<const uint8_t*>(batch_.data()), used_));
  }

  // What all ranks said of a round, in the order of the list.
  void exchange(const Said& mine) {
    for (const std::string& bytes : group_.all_gather_bytes(packed(mine))) {
      const Said said = unpacked(bytes);
      bad_ += static_cast<int64_t>(said.errors.size());
      if (output_ == nullptr) continue;
      output_->write(said.predictions);
      for (const std::string& error : said.errors) Log(LogLevel::kInfo).warning(error);
    }
  }

  const PictureList& list_;
  Inference& inference_;
  PredictionText& text_;
  RankGroup& group_;
  Output* const output_;  // null but on rank 0
  const int64_t rows_;
  std::vector<std::byte> batch_;  // the first used_ bytes are of images whose errors_ are known
  size_t used_ = 0;
  std::vector<std::string> errors_;
  int64_t bad_ = 0;
};

void report_speed(int64_t images, double seconds, int ranks) {
  char text[128];
  std::snprintf(text, sizeof text, "%lld images in %.1f s on %d rank%s, %.1f images/s", static_cast<long long>(images),
                seconds, ranks, ranks == 1 ? "" : "s", static_cast<double>(images) / seconds);
  Log(LogLevel::kInfo).info(text);
}

}  // namespace

int predict_command(const CommandLine& line, MpiSession& session) {
  const bool speaks = session.rank() == 0;
  Experiment experiment;
  OpenedNetwork opened;
  std::unique_ptr<PictureList> list;
  std::unique_ptr<PredictionText> text;
  run_on_all_ranks(session, [&] {
    experiment = settings(line);
    const PredictionFormat format = prediction_format(flag(line, "format", "text"));
    require_word(line, 0, "a file with a network");
    require_word(line, 1, "images");
    opened = open_network(line.words.front(), network_options(line));
    Network& network = opened.network;
    const int classes = network.model.graph.shape(network.model.logits).c;
    if (line.flags.contains("classes")) network.class_names = read_class_names(flag(line, "classes"), classes);
    list = std::make_unique<PictureList>(std::vector(line.words.begin() + 1, line.words.end()), network.sample,
                                         crop_of(network));
    require_preprocessing(line.words[0], network, *list);
    text = std::make_unique<PredictionText>(format, number(line, "top", kDefaultTop), line.flags.contains("logits"),
                                            network.class_names);
  });
  run_on_all_ranks(session, [&] {
    agree(session,
          {{"program", version_text()}, {"network", fingerprint(opened.network)}, {"images", list->fingerprint()}});
  });
  if (speaks) {
    for (const std::string& note : opened.notes) Log(LogLevel::kInfo).info(note);
  }
  undo_default_binding(session.size(), session.local_size());  // before any thread is made
  const int threads = experiment.threads > 0 ? experiment.threads : usable_processors(session);
  std::unique_ptr<Communicator> communicator;
  run_on_all_ranks(session, [&] { communicator = make_mpi_communicator(session); });
  Backend backend = make_backend(experiment, *communicator, threads);

  std::unique_ptr<Inference> inference;
  std::unique_ptr<Output> output;
  run_on_all_ranks(session, [&] {
    const int rows = rows_of_batch(list->size(), number(line, "batch_size", kDefaultBatch));
    inference =
        std::make_unique<Inference>(opened.network, backend, InferenceOptions{.rows = rows, .pixels = !list->floats()});
    opened = {};  // the weights are on the device now
    if (speaks) output = std::make_unique<Output>(flag(line, "out"));
  });
  const Stopwatch stopwatch;
  Prediction prediction(*list, *inference, *text, session, output.get());
  const int64_t bad = prediction.run(loader_threads(backend, threads));
  if (speaks) {
    output->finish();
    report_speed(list->size(), stopwatch.seconds(), session.size());
  }
  if (bad == 0) return 0;
  throw CollectiveError(ExitCode::kBadData,
                        std::to_string(bad) + " of " + std::to_string(list->size()) + " images could not be read");
}

}  // namespace convoy
