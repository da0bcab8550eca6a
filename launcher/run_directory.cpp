#include "launcher/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace convoy {
namespace {

std::string first_free(const std::string& path) {
  for (int i = 1;; ++i) {
    std::string candidate = path + "." + std::to_string(i);
    if (!std::filesystem::exists(candidate)) return candidate;
  }
}

std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

RunDirectory::RunDirectory(FileSystem& files, const std::string& output_dir, const std::string& name, bool fresh)
    : files_(files), path_(output_dir + "/" + name) {
  if (fresh && std::filesystem::exists(path_)) files_.rename(path_, first_free(path_));
  make_directories(files_, checkpoints());

  const std::string lock_path = path_ + "/lock";
  lock_ = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) throw Error(ExitCode::kCannotCreate, lock_path + ": cannot create: " + std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const std::string holder = read_line(lock_path);
    close(lock_);
    throw Error(ExitCode::kCannotCreate,
                path_ + " is in use by process " + holder + ": wait for it, or give this run another experiment.name");
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(lock_, 0) != 0 || write(lock_, pid.data(), pid.size()) < 0) {
    close(lock_);
    throw Error(ExitCode::kIo, lock_path + ": cannot write: " + std::strerror(errno));
  }
  const std::string log_path = path_ + "/log.jsonl";
  log_ = open(log_path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (log_ < 0) {
    close(lock_);
    throw Error(ExitCode::kCannotCreate, log_path + ": cannot create: " + std::strerror(errno));
  }
}

RunDirectory::~RunDirectory() {
  close(log_);
  close(lock_);  // also unlocks
}

void RunDirectory::require_unfinished(int64_t total_steps) const {
  std::ifstream file(path_ + "/status.json");
  const nlohmann::json status = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!status.is_object() || status.value("phase", "") != "finished") return;
  const auto done = status.value("steps_done", int64_t{0});
  if (done < total_steps) return;
  throw Error(ExitCode::kCannotCreate,
              path_ + ": this run is finished (" + std::to_string(done) +
                  " steps): use --fresh to start over, another experiment.name, or more epochs");
}

void RunDirectory::write_config(const std::string& yaml) { write_file_atomic(files_, path_ + "/config.yaml", yaml); }

void RunDirectory::write_status(const std::string& phase, int64_t steps_done) {
  const nlohmann::json status = {{"format", 1}, {"phase", phase}, {"steps_done", steps_done}};
  write_file_atomic(files_, path_ + "/status.json", status.dump() + "\n");
}

// A log that cannot be written must not end the training.
void RunDirectory::append_log(const std::string& json_line) {
  const std::string line = json_line + "\n";
  [[maybe_unused]] const auto written = write(log_, line.data(), line.size());
}

}  // namespace convoy
