#include "launcher/child.h"

#include <array>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/file_descriptor.h"

namespace convoy {
namespace {

void require(int error, const std::string& program) {
  if (error != 0)
    throw Error(ExitCode::kUnavailable, program + ": cannot be run: " + std::generic_category().message(error));
}

// Standard output of the child goes to `output`.
pid_t spawn(const std::vector<std::string>& arguments, int output) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  require(::posix_spawn_file_actions_init(&actions), arguments[0]);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  require(error, arguments[0]);
  return child;
}

std::string read_to_end(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
}

}  // namespace

ChildResult run_program(const std::vector<std::string>& arguments) {
  std::array<int, 2> ends;
  require(::pipe2(ends.data(), O_CLOEXEC) == 0 ? 0 : errno, arguments.at(0));
  const FileDescriptor out(ends[0]);
  FileDescriptor in(ends[1]);
  const pid_t child = spawn(arguments, in.get());
  in = FileDescriptor();  // the child has its own: the pipe ends with it
  ChildResult result;
  result.output = read_to_end(out.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace convoy
