#include "launcher/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

std::string first_free(const std::string& path) {
  for (int i = 1;; ++i) {
    std::string candidate = path + "." + std::to_string(i);
    if (!fs::exists(candidate)) return candidate;
  }
}

std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int open_file(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0644);
  const ExitCode code = errno == EACCES ? ExitCode::kPermission : ExitCode::kCannotCreate;
  if (fd < 0) throw Error(code, path + ": cannot create: " + std::strerror(errno));
  return fd;
}

// The lock goes with the descriptor, also when the process is killed.
FileDescriptor lock(const std::string& directory) {
  const std::string path = directory + "/lock";
  FileDescriptor file(open_file(path, O_RDWR | O_CREAT));
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    throw Error(ExitCode::kCannotCreate, directory + " is in use by process " + read_line(path) +
                                             ": wait for it, or give this run another experiment.name");
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(file.get(), 0) != 0 || write(file.get(), pid.data(), pid.size()) < 0) {
    throw Error(ExitCode::kIo, path + ": cannot write: " + std::strerror(errno));
  }
  return file;
}

// Steps of a run whose status says that it finished.  What cannot be read or understood says nothing.
std::optional<int64_t> finished_steps(const std::string& status_path) {
  constexpr int64_t kMaxBytes = 1 << 20;
  std::vector<std::byte> bytes;
  try {
    bytes = read_file(status_path, kMaxBytes);
  } catch (const Error&) {
    return std::nullopt;
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const nlohmann::json status = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!status.is_object()) return std::nullopt;
  const auto phase = status.find("phase"), done = status.find("steps_done");
  if (phase == status.end() || *phase != "finished") return std::nullopt;
  if (done == status.end() || !done->is_number_integer()) return std::nullopt;
  return done->get<int64_t>();
}

}  // namespace

RunDirectory::RunDirectory(FileSystem& files, const std::string& output_dir, const std::string& name, bool fresh)
    : files_(files), path_(output_dir + "/" + name) {
  make_directories(files_, checkpoints());
  lock_ = lock(path_);
  const bool lived = fs::exists(path_ + "/log.jsonl") || !fs::is_empty(checkpoints());
  if (fresh && lived) {  // its trainer is gone, since the lock is ours
    files_.rename(path_, first_free(path_));
    make_directories(files_, checkpoints());
    lock_ = lock(path_);
  }
  log_ = FileDescriptor(open_file(path_ + "/log.jsonl", O_WRONLY | O_APPEND | O_CREAT));
}

void RunDirectory::require_unfinished(int64_t total_steps) const {
  const std::optional<int64_t> done = finished_steps(path_ + "/status.json");
  if (!done || *done < total_steps) return;
  throw Error(ExitCode::kCannotCreate,
              path_ + ": this run is finished (" + std::to_string(*done) +
                  " steps): use --fresh to start over, another experiment.name, or more epochs");
}

bool RunDirectory::finished() const { return finished_steps(path_ + "/status.json").has_value(); }

void RunDirectory::write_config(const std::string& yaml) { write_file_atomic(files_, path_ + "/config.yaml", yaml); }

void RunDirectory::write_status(const std::string& phase, int64_t steps_done, const std::string& reason) {
  nlohmann::json status = {{"format", 1}, {"phase", phase}, {"steps_done", steps_done}};
  if (!reason.empty()) status["reason"] = reason;
  write_file_atomic(files_, path_ + "/status.json", status.dump() + "\n");
}

// A log that cannot be written must not end the training.
void RunDirectory::append_log(const std::string& json_line) {
  const std::string line = json_line + "\n";
  [[maybe_unused]] const auto written = write(log_.get(), line.data(), line.size());
}

}  // namespace convoy
