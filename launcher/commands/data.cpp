// convoy data pack|verify|stat|show|fetch: data sets of images, before any training.
#include <algorithm>
#include <cstdio>
#include <functional>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/threads.h"
#include "core/data/pack.h"
#include "core/data/survey.h"
#include "launcher/commands/commands.h"
#include "launcher/config/values.h"
#include "launcher/fetch.h"
#include "launcher/stopwatch.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

int done(bool all_good = true) { return static_cast<int>(all_good ? ExitCode::kDone : ExitCode::kBadData); }

double mb(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

[[noreturn]] void usage(const std::string& what) { throw Error(ExitCode::kUsage, "data " + what); }

int number(const CommandLine& line, const std::string& name, int otherwise) {
  return std::stoi(flag(line, name, std::to_string(otherwise)));
}

int threads(const CommandLine& line) {
  constexpr int kMost = 1024;
  const std::string mask = processor_mask();
  const int threads = number(line, "threads", processors_of_rank(mask, {mask}, processor_limit()));
  if (threads > kMost) usage("--threads: expected 1 to 1024, found " + std::to_string(threads));
  return threads;
}

// Tells every ten seconds how far it is.
OnProgress progress(int64_t images) {
  return [images, watch = Stopwatch(), told = 0.0](int64_t so_far) mutable {
    constexpr double kSeconds = 10;
    if (watch.seconds() < told + kSeconds) return;
    told = watch.seconds();
    Log(LogLevel::kInfo)
        .info(std::to_string(so_far) + " of " + std::to_string(images) + " images, " +
              std::to_string(static_cast<int64_t>(static_cast<double>(so_far) / told)) + " images/s");
  };
}

double per_second(int64_t images, const Stopwatch& watch) {
  return static_cast<double>(images) / std::max(watch.seconds(), 1e-9);
}

// ---- pack

RepackOptions repack_options(const CommandLine& line) {
  const RepackOptions options = {number(line, "side", 0), number(line, "quality", 90), line.flags.contains("decoded")};
  const bool has_quality = line.flags.contains("quality");
  if (options.quality > 100) usage("pack: --quality: expected 1 to 100, found " + std::to_string(options.quality));
  if (has_quality && options.decoded) usage("pack: --quality is of JPEGs, and --decoded makes none");
  if (has_quality && options.side == 0)
    usage("pack: --quality needs --side: images that are small enough stay as they are");
  return options;
}

std::shared_ptr<const ImageStore> chosen_split(const CommandLine& line) {
  const std::string split = flag(line, "split");
  if (!split.empty() && split != "train" && split != "validation")
    usage("pack: --split: expected train or validation, found '" + split + "'");
  const ImageSplits splits = open_image_splits(line.words[1]);
  if (splits.validation == nullptr && split == "validation")
    throw Error(ExitCode::kNoInput, line.words[1] + ": expected images for validation, found none");
  if (splits.validation != nullptr && split.empty())
    usage("pack: " + line.words[1] +
          " has images for training and for validation: pack them one by one, --split=train and --split=validation");
  return split == "validation" ? splits.validation : splits.train;
}

OnBadImage bad_image_policy(const CommandLine& line) {
  const std::string policy = flag(line, "on_error", "fail");
  if (policy != "fail" && policy != "skip") usage("pack: --on_error: expected fail or skip, found '" + policy + "'");
  if (policy == "skip")
    return [](const std::string& name, const std::string& reason) {
      Log(LogLevel::kInfo).warning("left out: " + name + ": " + reason);
    };
  return [](const std::string& name, const std::string& reason) {
    throw Error(ExitCode::kBadData,
                name + ": " + reason + " (convoy data verify lists all such images, --on_error=skip leaves them out)");
  };
}

int pack(const CommandLine& line) {
  require_replaceable(line.words[2]);
  const RepackOptions options = repack_options(line);
  const OnBadImage on_bad = bad_image_policy(line);
  const std::shared_ptr<const ImageStore> store = chosen_split(line);
  PosixFileSystem files;
  const Stopwatch watch;
  const PackReport report =
      pack_images(*store, files, line.words[2], options, threads(line), on_bad, progress(store->size()));
  std::printf("%s: %lld images, %.1f MB from %.1f MB, %.0f images/s", printable(line.words[2]).c_str(),
              static_cast<long long>(report.images), mb(report.bytes), mb(report.bytes_before),
              per_second(report.images, watch));
  if (report.bad > 0) std::printf("; %lld bad ones left out", static_cast<long long>(report.bad));
  std::printf("\n");
  return done();
}

// ---- verify

int verify(const CommandLine& line) {
  const std::unique_ptr<ImageStore> store = open_image_store(line.words[1]);
  Json bad = Json::array();
  const auto on_bad = [&](const std::string& name, const std::string& reason) {
    if (line.json) {
      bad.push_back({{"name", printable(name)}, {"reason", printable(reason)}});
    } else {
      std::printf("%s: %s\n", printable(name).c_str(), printable(reason).c_str());
    }
  };
  const Stopwatch watch;
  const Survey survey = survey_images(*store, threads(line), on_bad, progress(store->size()));
  if (line.json) {
    std::printf("%s\n", Json{{"images", store->size()}, {"bad", bad}, {"seconds", watch.seconds()}}.dump().c_str());
  } else {
    std::printf("%lld images, %lld bad; %.0f images/s\n", static_cast<long long>(store->size()),
                static_cast<long long>(survey.bad), per_second(store->size(), watch));
  }
  return done(survey.bad == 0);
}

// ---- stat

Json to_json(const Extent& range) { return {{"min", range.least}, {"mean", range.mean()}, {"max", range.most}}; }

Json to_json(const Survey& survey, const ImageStore& store) {
  Json classes = Json::array();
  for (size_t label = 0; label < survey.by_class.size(); ++label)
    classes.push_back({{"name", printable(store.class_names()[label])}, {"images", survey.by_class[label]}});
  const PixelSums& pixels = survey.pixels;
  return {{"images", survey.images},
          {"bad", survey.bad},
          {"bytes", static_cast<int64_t>(survey.bytes.sum)},
          {"formats", survey.by_format},
          {"width", to_json(survey.width)},
          {"height", to_json(survey.height)},
          {"file_bytes", to_json(survey.bytes)},
          {"mean", {pixels.mean(0), pixels.mean(1), pixels.mean(2)}},
          {"std", {pixels.deviation(0), pixels.deviation(1), pixels.deviation(2)}},
          {"classes", classes}};
}

void print(const char* name, const Extent& range) {
  std::printf("%-12s min %lld, mean %.1f, max %lld\n", name, static_cast<long long>(range.least), range.mean(),
              static_cast<long long>(range.most));
}

void print(const Survey& survey, const ImageStore& store) {
  std::printf("%lld images of %zu classes, %.1f MB\n", static_cast<long long>(survey.images),
              store.class_names().size(), survey.bytes.sum / 1e6);
  if (survey.bad > 0)
    std::printf("%lld more are bad; convoy data verify names them\n", static_cast<long long>(survey.bad));
  for (const auto& [format, images] : survey.by_format)
    std::printf("%-12s %lld\n", format.c_str(), static_cast<long long>(images));
  print("width", survey.width);
  print("height", survey.height);
  print("bytes", survey.bytes);
  const PixelSums& pixels = survey.pixels;
  std::printf("%-12s [%.5f, %.5f, %.5f]\n", "data.mean", pixels.mean(0), pixels.mean(1), pixels.mean(2));
  std::printf("%-12s [%.5f, %.5f, %.5f]\n", "data.std", pixels.deviation(0), pixels.deviation(1), pixels.deviation(2));
  for (size_t label = 0; label < survey.by_class.size(); ++label)
    std::printf("class %-6zu %lld  %s\n", label, static_cast<long long>(survey.by_class[label]),
                printable(store.class_names()[label]).c_str());
}

int stat(const CommandLine& line) {
  const std::unique_ptr<ImageStore> store = open_image_store(line.words[1]);
  const auto ignore = [](const std::string&, const std::string&) {};  // counted
  const Survey survey = survey_images(*store, threads(line), ignore, progress(store->size()));
  if (line.json) {
    std::printf("%s\n", to_json(survey, *store).dump().c_str());
  } else {
    print(survey, *store);
  }
  return done();
}

// ---- fetch

int fetch_files(const CommandLine& line) {
  const std::string& what = line.words[1];
  const bool is_url = what.find("://") != std::string::npos;
  const std::string sum = flag(line, "sha256");
  if (is_url && sum.empty()) usage("fetch: expected --sha256=… with a URL, found none");
  if (!is_url && !sum.empty()) usage("fetch: --sha256 is for a URL; that of " + what + " is known");
  const std::vector<RemoteFile> downloads = is_url ? std::vector{checked_download(what, sum)} : downloads_of(what);
  const std::string directory = flag(line, "to", is_url ? "." : what);
  PosixFileSystem files;
  make_directories(files, directory);
  for (const RemoteFile& download : downloads) {
    const bool is_new = fetch(download, directory) == Fetched::kNew;
    std::printf("%s/%s: %s, %s as expected\n", printable(directory).c_str(), printable(file_of(download.url)).c_str(),
                is_new ? "fetched" : "already there", download.sum.size() == 32 ? "MD5" : "SHA-256");
    std::fflush(stdout);
  }
  if (what == "imagenette")
    std::printf("unpack it with: tar -xzf %s/%s\n", directory.c_str(), file_of(downloads[0].url).c_str());
  return done();
}

// ---- show

int show(const CommandLine& line) {
  return show_samples(load_experiment(line.words[1], line.overrides), number(line, "samples", 64),
                      flag(line, "out", "samples.png"));
}

// ---- which of them

struct Action {
  std::string_view name;
  std::vector<std::string> words;  // behind it, for the message when one is missing
  std::vector<std::string_view> flags;
  std::function<int(const CommandLine&)> run;
};

const std::vector<Action>& actions() {
  static const std::vector<Action> all = {
      {"pack", {"a data set", "a file to write"}, {"threads", "side", "quality", "decoded", "split", "on_error"}, pack},
      {"verify", {"a data set"}, {"threads", "json"}, verify},
      {"stat", {"a data set"}, {"threads", "json"}, stat},
      {"show", {"an experiment"}, {"samples", "out"}, show},
      {"fetch", {"a name or a URL"}, {"sha256", "to"}, fetch_files},
  };
  return all;
}

void require_fits(const Action& action, const CommandLine& line) {
  const std::string name(action.name);
  for (size_t i = 0; i < action.words.size(); ++i) require_word(line, i + 1, action.words[i]);
  if (line.words.size() > action.words.size() + 1) usage(name + ": unexpected '" + line.words.back() + "'");
  if (!line.overrides.empty() && name != "show") usage(name + ": unexpected '" + line.overrides.front() + "'");
  for (const auto& [given, value] : line.flags)
    if (std::ranges::count(action.flags, given) == 0) usage(name + ": has no flag --" + given);
  if (line.json && std::ranges::count(action.flags, "json") == 0) usage(name + ": has no flag --json");
}

}  // namespace

int data_command(const CommandLine& line) {
  std::vector<std::string_view> names;
  for (const Action& action : actions()) names.push_back(action.name);
  const std::string& wanted = require_word(line, 0, "pack, verify, stat, show or fetch");
  const auto action = std::ranges::find(actions(), std::string_view(wanted), &Action::name);
  if (action == actions().end())
    throw Error(ExitCode::kUsage, "data: unknown action '" + wanted + "'" + did_you_mean(wanted, names));
  require_fits(*action, line);
  return action->run(line);
}

}  // namespace convoy
