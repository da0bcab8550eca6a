#include "launcher/fetch.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string_view>

#include <unistd.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "launcher/child.h"
#include "launcher/config/values.h"

namespace convoy {
namespace {

struct Known {
  std::string_view name, url, sum;
};

// VGG16: as Keras has them (keras/applications/vgg16.py).  MNIST: computed from files whose MD5 are those that
// torchvision has.  The others: as published by fast.ai's and TensorFlow's data set tables and by several projects
// independently.
constexpr std::string_view kMnist = "https://ossci-datasets.s3.amazonaws.com/mnist/";
constexpr std::string_view kFashion =
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/";
constexpr std::string_view kVgg = "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/";
constexpr Known kKnown[] = {
    {"mnist", "train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
    {"mnist", "train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
    {"mnist", "t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
    {"mnist", "t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"},
    {"fashion-mnist", "train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
    {"fashion-mnist", "train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
    {"fashion-mnist", "t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
    {"fashion-mnist", "t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"},
    {"cifar10", "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
     "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    {"imagenette", "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
     "569b4497c98db6dd29f335d1f109cf315fe127053cedf69010d047f0188e158c"},
    {"vgg16", "vgg16_weights_tf_dim_ordering_tf_kernels.h5", "64373286793e3c8b2b4e3219cbf3544b"},
    {"vgg16-notop", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc"},
};

std::string whole_url(const Known& known) {
  const std::string_view base = known.name == "mnist"             ? kMnist
                                : known.name == "fashion-mnist"   ? kFashion
                                : known.name.starts_with("vgg16") ? kVgg
                                                                  : "";
  return std::string(base) + std::string(known.url);
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// A checksum by the program for it, as one of so many digits.
struct Sum {
  const char *program, *name;
  size_t digits;
};
constexpr Sum kSha256 = {"sha256sum", "SHA-256", 64}, kMd5 = {"md5sum", "MD5", 32};
const Sum& kind_of(const std::string& sum) { return sum.size() == kMd5.digits ? kMd5 : kSha256; }

// These programs print "HASH  FILE", and a backslash before it where the name is an odd one.
std::string sum_of(const std::string& path, const Sum& kind) {
  const ChildResult result = run_program({kind.program, "--", path});
  const std::string_view text = result.output;
  const std::string hash(text.substr(std::min<size_t>(text.starts_with('\\') ? 1 : 0, text.size()), kind.digits));
  if (result.code != 0 || hash.size() != kind.digits)
    throw Error(ExitCode::kNoInput, path + ": " + kind.program + " ended with " + std::to_string(result.code));
  return hash;
}

struct CurlResult {
  int code = 0;    // its exit code
  int status = 0;  // of HTTP; 0 without an answer
};

// Whether it may go better later, as the server says.
bool is_passing(int status) { return status >= 500 || status == 408 || status == 429; }

// What curl's exit codes tell of, for people who do not know them: man curl, "EXIT CODES".
[[noreturn]] void fail(const CurlResult& result, const RemoteFile& download, const std::string& target) {
  static constexpr std::array kNotThere = {22, 37, 78};
  constexpr int kNotWritten = 23;
  const auto [code, status] = result;
  const std::string http = status == 0 ? "" : ", HTTP status " + std::to_string(status);
  const std::string end = " (curl ended with " + std::to_string(code) + http + ")";
  if (std::ranges::count(kNotThere, code) > 0 && !is_passing(status))
    throw Error(ExitCode::kNoInput, download.url + ": is not to be had there" + end);
  if (code == kNotWritten) throw Error(ExitCode::kIo, target + ".part: cannot be written" + end);
  throw Error(ExitCode::kUnavailable,
              download.url + ": cannot be reached" + end +
                  "; run the same command again to go on.  Without a network, bring the file to " + target +
                  " by other means: the same command then checks it");
}

// Goes on from what there is of `part`.
CurlResult run_curl(const std::string& url, const std::string& part) {
  std::vector<std::string> arguments = {"curl",     "--fail", "--location",  "--continue-at", "-",     "--retry", "3",
                                        "--output", part,     "--write-out", "%{http_code}",  "--url", url};
  if (::isatty(STDERR_FILENO) == 1) {
    arguments.emplace_back("--progress-bar");
  } else {
    arguments.insert(arguments.end(), {"--silent", "--show-error"});
  }
  const ChildResult result = run_program(arguments);
  return {result.code, std::atoi(result.output.c_str())};
}

// Of a server that cannot go on from where a part ends, because it cannot at all or there is nothing behind it.
bool must_start_over(const CurlResult& result) {
  constexpr int kNoSuchRange = 416, kNoRanges = 33, kNotResumed = 36;
  return result.status == kNoSuchRange || result.code == kNoRanges || result.code == kNotResumed;
}

}  // namespace

std::vector<RemoteFile> downloads_of(const std::string& name) {
  std::vector<RemoteFile> downloads;
  std::vector<std::string_view> names;
  for (const Known& known : kKnown) {
    if (known.name == name) downloads.push_back({whole_url(known), std::string(known.sum)});
    if (names.empty() || names.back() != known.name) names.push_back(known.name);
  }
  if (downloads.empty())
    throw Error(ExitCode::kUsage, "data fetch: unknown data set '" + name + "'" + did_you_mean(name, names));
  return downloads;
}

RemoteFile checked_download(const std::string& url, std::string sha256) {
  std::ranges::transform(sha256, sha256.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (sha256.size() != 64 || sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
    throw Error(ExitCode::kUsage, "--sha256: expected 64 hexadecimal digits, found '" + sha256 + "'");
  if (file_of(url).empty())
    throw Error(ExitCode::kUsage, "data fetch: expected a URL that ends in a file, found " + url);
  return {url, sha256};
}

std::string file_of(const std::string& url) {
  const std::string path = url.substr(0, url.find_first_of("?#"));
  const std::string name = path.substr(path.rfind('/') + 1);
  return name == "." || name == ".." ? "" : name;
}

std::string fetch_advice(const std::string& path) {
  const std::filesystem::path absent(path);
  const std::string file = absent.filename().string(), directory = absent.parent_path().string();
  std::string words = directory;
  std::ranges::replace(words, '_', '-');
  std::set<std::string_view> all;
  std::string_view name;  // that the directory bears: files of several sets are called alike
  for (const Known& known : kKnown) {
    const std::string target = file_of(whole_url(known));
    const bool is_its_file = target == file || target.starts_with(file + ".") ||
                             (known.name == "cifar10" && file == "cifar-10-batches-bin");  // unpacked
    if (file.empty() || (!is_its_file && known.name != file)) continue;
    all.insert(known.name);
    if (words.ends_with(known.name) && known.name.size() > name.size()) name = known.name;
  }
  if (all.size() == 1) name = *all.begin();
  if (name.empty()) return "";
  const std::string& to = name == file ? path : directory;
  return "; convoy data fetch " + std::string(name) + " --to=" + (to.empty() ? "." : to) + " brings it";
}

Error with_fetch_advice(const Error& error, const std::string& path) {
  return error.code() == ExitCode::kNoInput ? Error(error.code(), error.what() + fetch_advice(path)) : error;
}

Fetched fetch(const RemoteFile& download, const std::string& directory) {
  const std::string target = directory + "/" + file_of(download.url), part = target + ".part";
  const Sum& kind = kind_of(download.sum);
  const auto require_sum = [&](const std::string& path, const std::string& advice) {
    const std::string found = sum_of(path, kind);
    if (found != download.sum)
      throw Error(ExitCode::kBadData,
                  path + ": expected " + kind.name + " " + download.sum + ", found " + found + advice);
  };
  if (exists(target)) return require_sum(target, "; move it away to fetch it"), Fetched::kAlreadyThere;
  PosixFileSystem files;
  if (!exists(part) || sum_of(part, kind) != download.sum) {
    const bool goes_on = exists(part);
    CurlResult result = run_curl(download.url, part);
    if (goes_on && must_start_over(result)) {
      files.remove(part);
      result = run_curl(download.url, part);
    }
    if (result.code != 0) fail(result, download, target);
    try {
      require_sum(part, "; removed");
    } catch (const Error& error) {
      if (error.code() == ExitCode::kBadData) files.remove(part);
      throw;
    }
  }
  rename_durably(files, part, target);
  return Fetched::kNew;
}

}  // namespace convoy
