#include "launcher/command_line.h"

#include <algorithm>
#include <charconv>
#include <climits>
#include <iterator>
#include <sstream>
#include <string_view>

#include <boost/program_options.hpp>

#include "core/base/error.h"
#include "launcher/config/values.h"

namespace convoy {
namespace {

namespace po = boost::program_options;

struct Verb {
  std::string_view name, words;
  size_t most_words;
  std::string_view what;
};
constexpr Verb kVerbs[] = {
    {"train", "EXPERIMENT", 1, "train a network; with mpirun on several processes"},
    {"eval", "EXPERIMENT", 1, "evaluate a checkpoint on the test samples"},
    {"bench", "step|layers|loader|overlap|all-reduce|scaling|predict EXPERIMENT, or diff BEFORE AFTER", 3,
     "time training steps, layers, the loader, communication; scaling, measured or predicted"},
    {"inspect", "EXPERIMENT|MODEL...", 1000, "print layers, plan and memory, without training; of models, their size"},
    {"config", "show|validate|schema [EXPERIMENT]", 2, "print or check the settings of an experiment"},
    {"convert", "FROM TO", 2, "turn a network with its weights into another format"},
    {"predict", "MODEL IMAGE|DIRECTORY|LIST.txt|ARRAY.npy ...", 1'000'000, "say what is in images"},
    {"data", "pack|verify|stat|show|fetch SOURCE [FILE]", 3,
     "pack, check, describe, show or fetch a data set of images"},
};

[[noreturn]] void usage(const std::string& message) { throw Error(ExitCode::kUsage, message); }

void override_key(CommandLine& line, std::string_view key, const std::string& value) {
  line.overrides.push_back(std::string(key) + "=" + value);
}

// A file name is text, whatever YAML would make of it.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

int positive_integer(const std::string& flag, const std::string& value, int most = INT_MAX) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool whole = error != std::errc::invalid_argument && end == value.data() + value.size();
  if (whole && number >= 1 && number <= most && error == std::errc()) return static_cast<int>(number);
  const bool too_large = whole && (number > most || error != std::errc());
  usage(flag + ": expected an integer " + (too_large ? "in [1, " + std::to_string(most) + "]" : ">= 1") + ", found '" +
        value + "'");
}

void set_repeat(CommandLine& line, const std::string& value) { line.repeat = positive_integer("--repeat", value); }

// Checked here, so that the message names what was typed.
void set_batch_size(CommandLine& line, const std::string& value) {
  override_key(line, "batch.global", std::to_string(positive_integer("--batch_size", value)));
}

void set_num_epochs(CommandLine& line, const std::string& value) {
  override_key(line, "train.epochs", std::to_string(positive_integer("--num_epochs", value)));
}

constexpr int kMostThreads = 1024;  // as of the key of an experiment
constexpr char kThreads[] = "threads", kSide[] = "side", kQuality[] = "quality", kDecoded[] = "decoded",
               kSplit[] = "split", kModelFile[] = "model_file", kShape[] = "shape", kPreprocessing[] = "preprocessing",
               kNames[] = "names", kOutput[] = "output", kFold[] = "fold_batch_norm", kPartial[] = "partial",
               kUnsafe[] = "unsafe_import", kDiff[] = "diff", kData[] = "data", kOnError[] = "on_error",
               kSha256[] = "sha256", kTo[] = "to", kSamples[] = "samples", kOut[] = "out";
constexpr char kTop[] = "top", kFormat[] = "format", kBatch[] = "batch_size", kClasses[] = "classes",
               kLogits[] = "logits", kConfusion[] = "confusion", kDevice[] = "device", kPrecision[] = "precision",
               kEma[] = "ema", kRanks[] = "ranks", kScaling[] = "scaling", kMode[] = "mode", kMinBytes[] = "minbytes",
               kMaxBytes[] = "maxbytes", kCompute[] = "compute", kLink[] = "link", kNode[] = "node",
               kAlgorithm[] = "algorithm", kJitter[] = "jitter";

template <const char* name>
void set_flag(CommandLine& line, const std::string& value) {
  line.flags[name] = value;
}

template <const char* name, int most = INT_MAX>
void set_number(CommandLine& line, const std::string& value) {
  line.flags[name] = std::to_string(positive_integer(std::string("--") + name, value, most));
}

void set_gpustat(CommandLine& line, const std::string& value) {
  if (value != "on" && value != "off") usage("--gpustat: expected on or off, found '" + value + "'");
  line.gpustat = value == "on";
}

struct Flag {
  const char* name;
  const char* value;       // its name in the help; nullptr: the flag takes none
  std::string_view verbs;  // that have it
  void (*apply)(CommandLine& line, const std::string& value);
  const char* what;
};
constexpr std::string_view kExperimentVerbs = "train eval bench inspect config";
constexpr std::string_view kAllVerbs = "train eval bench inspect config convert predict data";
constexpr Flag kFlags[] = {
    {"model_file", "FILE", kExperimentVerbs,
     [](auto& line, auto& value) {
       override_key(line, "model.config", quoted(value));
       line.flags[kModelFile] = value;
     },
     "network; the same as model.config=FILE"},
    {kData, "PATH", "train eval", set_flag<kData>,
     "without EXPERIMENT: what --model_file is trained on; default MNIST"},
    {"batch_size", "N", kExperimentVerbs, set_batch_size,
     "rows per step of all ranks together; the same as batch.global=N"},
    {"num_epochs", "N", kExperimentVerbs, set_num_epochs, "the same as train.epochs=N"},
    {"gpustat", "on|off", "train", set_gpustat, "report on the GPU while training"},
    {"fresh", nullptr, "train", [](auto& line, auto&) { line.fresh = true; },
     "start over: an earlier run of this name is moved aside"},
    {"checkpoint", "PATH", "eval", [](auto& line, auto& value) { line.checkpoint = value; },
     "which checkpoint, or a file of any format with weights; default: the newest of the run"},
    {kEma, nullptr, "eval convert predict", set_flag<kEma>, "the averaged weights of a checkpoint (train.ema_decay)"},
    {kConfusion, nullptr, "eval", set_flag<kConfusion>, "also print which classes are taken for which"},
    {"repeat", "N", "bench", set_repeat, "timed steps; default 20"},
    {kMinBytes, "N", "bench", set_number<kMinBytes>, "all-reduce: the smallest size; default 4096"},
    {kMaxBytes, "N", "bench", set_number<kMaxBytes, 1 << 30>,
     "all-reduce: sizes are doubled up to this; default 134217728"},
    {kRanks, "P,P,...", "bench", set_flag<kRanks>, "scaling, predict: how many; default 1, 2, 4 ... and all, or 4096"},
    {kScaling, "weak,strong", "bench", set_flag<kScaling>,
     "scaling: by a batch for each rank, or one for all; default both"},
    {kMode, "MODE,...", "bench", set_flag<kMode>, "scaling: synthetic, loader, full; default all three"},
    {kOut, "DIR", "bench", set_flag<kOut>, "scaling: where to; default scaling-NAME; predict: also draw there"},
    {kCompute, "FILE|DEVICE", "bench", set_flag<kCompute>,
     "predict: what bench step --json printed, or a device, as h100-sxm; default: measured here"},
    {kLink, "LINK", "bench", set_flag<kLink>,
     "predict: what bench all-reduce --json printed, a name, µs,GB/s, or INSIDE+ACROSS nodes, as nvlink4+8xndr"},
    {kNode, "N", "bench", set_number<kNode, 1 << 20>, "predict: ranks of a node; default 8"},
    {kAlgorithm, "NAME", "bench", set_flag<kAlgorithm>,
     "predict: auto, ring, tree, nvls or hierarchical; default auto, the cheapest of NCCL's"},
    {kJitter, "PERCENT", "bench", set_flag<kJitter>, "predict: by which computation varies; default 0.5"},
    {"json", nullptr, "eval bench inspect data", [](auto& line, auto&) { line.json = true; }, "print JSON"},
    {kTop, "N", "predict", set_number<kTop>, "classes shown of each image; default 5"},
    {kFormat, "text|csv|jsonl", "predict", set_flag<kFormat>, "of what is printed; default text"},
    {kLogits, nullptr, "predict", set_flag<kLogits>, "print logits too, as jsonl of all classes"},
    {kOut, "FILE", "predict", set_flag<kOut>, "where to; default standard output"},
    {kClasses, "FILE", "predict", set_flag<kClasses>, "names of the classes, one a line"},
    {kBatch, "N", "predict", set_number<kBatch>, "images at a time, at most; default 32"},
    {kDevice, "auto|cpu|cuda", "predict", set_flag<kDevice>, "default: a GPU where there is one"},
    {kPrecision, "auto|f32|bf16|f16", "predict", set_flag<kPrecision>,
     "of activations; default bf16 on a GPU, else f32"},
    {kThreads, "N", "predict", set_number<kThreads, kMostThreads>, "of each rank; default its share of the processors"},
    {kThreads, "N", "data", set_number<kThreads, kMostThreads>, "pack, verify, stat: default all processors"},
    {kSide, "N", "data", set_number<kSide>, "pack: larger images are shrunk to this shorter side"},
    {kQuality, "N", "data", set_number<kQuality>, "pack: of the JPEGs that --side makes; default 90"},
    {kDecoded, nullptr, "data", set_flag<kDecoded>, "pack: store pixels, not JPEGs"},
    {kSplit, "NAME", "data", set_flag<kSplit>, "pack: train or validation, of a data set with both"},
    {kOnError, "fail|skip", "data", set_flag<kOnError>, "pack: what to do with a bad image; default fail"},
    {kSamples, "N", "data", set_number<kSamples>, "show: how many; default 64"},
    {kOut, "FILE", "data", set_flag<kOut>, "show: the PNG to write; default samples.png"},
    {kSha256, "HASH", "data", set_flag<kSha256>, "fetch: of the file at a URL"},
    {kTo, "DIR", "data", set_flag<kTo>, "fetch: where to; default a directory of that name, for a URL ."},
    {kModelFile, "FILE", "convert predict", set_flag<kModelFile>, "the network of a file that has weights only"},
    {kShape, "H,W,C", "inspect convert predict", set_flag<kShape>, "of an image, where the file does not say it"},
    {kPreprocessing, "NAME", "convert predict", set_flag<kPreprocessing>,
     "of images: rgb/255, torch, caffe, tf or none, where the file does not say it"},
    {kNames, "convoy|pytorch", "convert", set_flag<kNames>, "of tensors in safetensors; default convoy"},
    {kOutput, "logits|probabilities", "convert", set_flag<kOutput>,
     "of the network; default probabilities in files of Keras, else logits"},
    {kFold, nullptr, "convert", set_flag<kFold>, "batch norm becomes part of the convolutions before it"},
    {kPartial, nullptr, "convert", set_flag<kPartial>, "what the file has no weights for starts at random"},
    {kDiff, nullptr, "convert", set_flag<kDiff>, "compare the weights of both files, write nothing"},
    {kUnsafe, nullptr, "train eval bench inspect config convert predict", set_flag<kUnsafe>,
     "read HDF5 where the kernel cannot lock the reader in"},
    {"help", nullptr, kAllVerbs, [](auto& line, auto&) { line.help = true; }, "print this"},
};

bool has(const Flag& flag, std::string_view verb) {
  return (" " + std::string(flag.verbs) + " ").find(" " + std::string(verb) + " ") != std::string::npos;
}

const Verb& find_verb(const std::string& name) {
  const auto* found = std::ranges::find(kVerbs, name, &Verb::name);
  if (found != std::end(kVerbs)) return *found;
  if (name == "help" || name == "-h") usage("unknown verb '" + name + "', did you mean convoy --help?");
  if (name == "version" || name == "-V") usage("unknown verb '" + name + "', did you mean convoy --version?");
  std::vector<std::string_view> names;
  for (const Verb& verb : kVerbs) names.push_back(verb.name);
  usage("unknown verb '" + name + "'" + did_you_mean(name, names));
}

po::options_description flags_of(const Verb& verb) {
  po::options_description flags("flags");
  for (const Flag& flag : kFlags) {
    if (!has(flag, verb.name)) continue;
    if (flag.value == nullptr) {
      flags.add_options()(flag.name, flag.what);
    } else {
      flags.add_options()(flag.name, po::value<std::string>()->value_name(flag.value), flag.what);
    }
  }
  return flags;
}

// In the order typed; a word has no key.
std::vector<po::option> split(const Verb& verb, const std::vector<std::string>& arguments) {
  const po::options_description flags = flags_of(verb);
  const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing &
                    ~po::command_line_style::allow_short;
  try {
    return po::command_line_parser(arguments).options(flags).style(style).run().options;
  } catch (const po::unknown_option& error) {
    std::vector<std::string> names;
    for (const Flag& flag : kFlags) {
      if (has(flag, verb.name)) names.push_back(std::string("--") + flag.name);
    }
    const std::vector<std::string_view> known(names.begin(), names.end());
    const std::string given = error.get_option_name();  // "--bath_size=3"
    const std::string name = given.substr(0, given.find('='));
    usage(std::string(verb.name) + ": unknown flag " + name + did_you_mean(name, known));
  } catch (const po::invalid_command_line_syntax& error) {
    if (error.kind() != po::invalid_syntax::empty_adjacent_parameter)
      usage(std::string(verb.name) + ": " + error.what());
    usage(error.get_option_name() + ": expected a value, found none");
  } catch (const po::error& error) {
    usage(std::string(verb.name) + ": " + error.what());
  }
}

bool is_override(const std::string& word) {
  const size_t equals = word.find('=');
  return equals != std::string::npos && word.find('/') > equals;
}

// The others have files only, which may be called a=b.
bool has_keys(const Verb& verb) { return verb.name != "predict" && verb.name != "convert"; }

void add_word(CommandLine& line, const Verb& verb, const std::string& word) {
  if (is_override(word) && has_keys(verb)) return line.overrides.push_back(word);
  if (line.words.size() == verb.most_words) {
    usage(std::string(verb.name) + ": unexpected '" + word + "' after '" + line.words.back() + "'");
  }
  line.words.push_back(word);
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  if (arguments.empty()) usage("expected a verb; convoy --help lists them");
  const Verb& verb = find_verb(arguments.front());
  CommandLine line;
  line.verb = verb.name;
  for (const po::option& option : split(verb, {arguments.begin() + 1, arguments.end()})) {
    const std::string value = option.value.empty() ? "" : option.value.front();
    const auto* flag = std::ranges::find_if(
        kFlags, [&](const Flag& it) { return it.name == option.string_key && has(it, verb.name); });
    if (flag == std::end(kFlags)) {
      add_word(line, verb, value);
    } else {
      flag->apply(line, value);
    }
  }
  return line;
}

std::string command_of(const CommandLine& line) {
  std::string text = line.verb;
  for (size_t i = 0; i + 1 < line.words.size(); ++i) text += " " + line.words[i];
  if (line.fresh) text += " --fresh";
  if (line.gpustat) text += " --gpustat=on";
  if (line.json) text += " --json";
  if (!line.checkpoint.empty()) text += " --checkpoint=" + line.checkpoint;
  for (const auto& [name, value] : line.flags) text += " --" + name + "=" + value;
  return text + " --repeat=" + std::to_string(line.repeat);
}

std::string help_text(const std::string& verb_name) {
  std::ostringstream text;
  if (!verb_name.empty()) {
    const Verb& verb = find_verb(verb_name);
    text << "convoy " << verb.name << " " << verb.words << (has_keys(verb) ? " [key=value ...]" : "") << " [flags]\n  "
         << verb.what << "\n\n"
         << flags_of(verb);
    return text.str();
  }
  text << "convoy VERB [EXPERIMENT.yaml] [key=value ...] [flags]\n\n";
  for (const Verb& verb : kVerbs) {
    text << "  " << verb.name << std::string(10 - verb.name.size(), ' ') << verb.what << "\n";
  }
  text << "\nconvoy VERB --help lists the flags of a verb, convoy config schema all keys; convoy --version.\n";
  return text.str();
}

std::string flag(const CommandLine& line, const std::string& name, const std::string& otherwise) {
  const auto found = line.flags.find(name);
  return found == line.flags.end() ? otherwise : found->second;
}

const std::string& require_word(const CommandLine& line, size_t index, const std::string& what) {
  if (index < line.words.size() && !line.words[index].empty()) return line.words[index];
  usage(line.verb + ": expected " + what + (index < line.words.size() ? ", found ''" : "") + "; see convoy " +
        line.verb + " --help");
}

}  // namespace convoy
