#include "core/io/hdf5_child.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"

namespace convoy {
namespace {

constexpr size_t kBuffer = size_t{64} << 10;
constexpr std::chrono::milliseconds kSlice(100);
constexpr std::chrono::microseconds kPerByte(1);  // of the slowest disk

std::string system_text(int error) { return std::generic_category().message(error); }

[[noreturn]] void unavailable(const std::string& program, int error) {
  throw Error(ExitCode::kUnavailable, program + ": cannot be run: " + system_text(error));
}

// One that is not 0, 1 or 2, which the child is to have for something else.
FileDescriptor above_standard(int fd, const std::string& program) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) unavailable(program, errno);
  return FileDescriptor(copy);
}

struct Spawning {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  Spawning() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  Spawning(const Spawning&) = delete;
  Spawning& operator=(const Spawning&) = delete;
  ~Spawning() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
};

// In a group of its own, so that a key pressed at the terminal ends and stops us, not it; with all signals as they are
// by default.
pid_t spawn(const std::vector<std::string>& arguments, int file, int line) {
  const FileDescriptor file_copy = above_standard(file, arguments.at(0));
  const FileDescriptor line_copy = above_standard(line, arguments[0]);
  Spawning spawning;
  ::posix_spawn_file_actions_adddup2(&spawning.actions, file_copy.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&spawning.actions, line_copy.get(), STDOUT_FILENO);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&spawning.attributes, &none);
  ::posix_spawnattr_setsigdefault(&spawning.attributes, &all);
  ::posix_spawnattr_setpgroup(&spawning.attributes, 0);
  ::posix_spawnattr_setflags(&spawning.attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, argv[0], &spawning.actions, &spawning.attributes, argv.data(), environ);
  if (error != 0) unavailable(arguments[0], error);
  return child;
}

}  // namespace

std::string find_h5_program() {
  std::error_code error;
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  std::string places;
  for (const auto& place : {here / "convoy-h5", here.parent_path() / "libexec/convoy/convoy-h5"}) {
    if (::access(place.c_str(), X_OK) == 0) return place;
    places += (places.empty() ? "" : " and ") + place.string();
  }
  throw Error(ExitCode::kUnavailable,
              "convoy-h5, the program that reads and writes HDF5 files: not found; looked for " + places);
}

Hdf5Child::Hdf5Child(const std::vector<std::string>& arguments, int file, const Patience& patience, std::string name)
    : name_(std::move(name)),
      patience_(patience),
      last_(std::chrono::steady_clock::now()),
      bytes_left_(patience.file_bytes),
      buffer_(kBuffer) {
  std::array<int, 2> ends;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) unavailable(arguments.at(0), errno);
  line_ = FileDescriptor(ends[0]);
  const FileDescriptor other(ends[1]);  // closed here: the line ends with the child
  child_ = spawn(arguments, file, other.get());
}

Hdf5Child::~Hdf5Child() {
  if (child_ < 0) return;
  ::kill(-child_, SIGKILL);  // with what it may have started
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) continue;
}

void Hdf5Child::fail(const std::string& what) const {
  throw Error(patience_.broken, name_ + ": convoy-h5, which opens it, " + what);
}

// In slices, so that time in which this process is stopped or starved counts once at most.
void Hdf5Child::spend_time() {
  const auto now = std::chrono::steady_clock::now();
  spent_ += std::min<std::chrono::steady_clock::duration>(now - std::exchange(last_, now), kSlice);
  if (spent_ > std::chrono::seconds(patience_.seconds))
    fail("was silent, or slower than 1 MB/s, for " + std::to_string(patience_.seconds) + " s");
}

void Hdf5Child::earn_time(size_t bytes) {
  const int64_t counted = std::min(static_cast<int64_t>(bytes), bytes_left_);
  bytes_left_ -= counted;
  spent_ = std::max(spent_ - counted * kPerByte, std::chrono::steady_clock::duration::zero());
}

short Hdf5Child::wait_for(short events) {
  for (;;) {
    spend_time();
    pollfd line = {line_.get(), events, 0};
    const int ready = ::poll(&line, 1, kSlice.count());
    if (ready < 0 && errno != EINTR) fail("cannot be waited for: " + system_text(errno));
    if (ready > 0) return line.revents;
  }
}

size_t Hdf5Child::receive(std::span<std::byte> out) {
  for (;;) {
    wait_for(POLLIN);
    const ssize_t got = ::recv(line_.get(), out.data(), out.size(), MSG_DONTWAIT);
    if (got > 0) {
      heard_ = true;
      earn_time(static_cast<size_t>(got));
    }
    if (got >= 0) return static_cast<size_t>(got);
    if (errno == ECONNRESET) return 0;  // it ended before it heard all
    if (errno != EINTR && errno != EAGAIN) fail("cannot be heard: " + system_text(errno));
  }
}

void Hdf5Child::read(std::span<std::byte> out) {
  while (!out.empty()) {
    if (buffered_.empty() && out.size() >= kBuffer) {
      const size_t got = receive(out);
      if (got == 0) fail_ended();
      out = out.subspan(got);
      continue;
    }
    if (buffered_.empty()) {
      const size_t got = receive(buffer_);
      if (got == 0) fail_ended();
      buffered_ = std::span(buffer_).first(got);
    }
    const size_t step = std::min(out.size(), buffered_.size());
    std::memcpy(out.data(), buffered_.data(), step);
    out = out.subspan(step);
    buffered_ = buffered_.subspan(step);
  }
}

void Hdf5Child::write(std::span<const std::byte> bytes) {
  while (!bytes.empty() && !stopped_) {
    if ((wait_for(POLLIN | POLLOUT) & (POLLIN | POLLHUP)) != 0) {
      stopped_ = true;
      return;
    }
    const ssize_t sent = ::send(line_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EPIPE) {
      stopped_ = true;
      return;
    }
    if (sent < 0 && errno != EINTR && errno != EAGAIN) fail("cannot be told: " + system_text(errno));
    if (sent <= 0) continue;
    earn_time(static_cast<size_t>(sent));
    bytes = bytes.subspan(static_cast<size_t>(sent));
  }
}

int Hdf5Child::wait_until_ended() {
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(child_, &status, WNOHANG);
    if (ended == child_ || (ended < 0 && errno == ECHILD)) {
      child_ = -1;
      return status;
    }
    spend_time();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void Hdf5Child::fail_ended() {
  const int status = wait_until_ended();
  constexpr int kNotLoaded = 127;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotLoaded && !heard_)
    throw Error(ExitCode::kUnavailable, "convoy-h5: cannot be run: a library that it needs is missing");
  if (WIFSIGNALED(status))
    fail("was ended by signal " + std::to_string(WTERMSIG(status)) + " (" + ::strsignal(WTERMSIG(status)) + ")");
  fail("ended with " + std::to_string(WEXITSTATUS(status)) + " in the middle of what it said");
}

void Hdf5Child::expect_end() {
  std::byte one;
  if (!buffered_.empty() || receive({&one, 1}) != 0) fail("said more than there is to say");
  const int status = wait_until_ended();
  if (WIFSIGNALED(status)) fail("was ended by signal " + std::to_string(WTERMSIG(status)) + " at its end");
  if (WEXITSTATUS(status) != 0) fail("ended with " + std::to_string(WEXITSTATUS(status)));
}

}  // namespace convoy
