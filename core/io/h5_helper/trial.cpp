#include "core/io/h5_helper/trial.h"

#include <cerrno>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/io/h5_helper/lockup.h"

namespace convoy::h5 {
namespace {

long connect_somewhere() {
  const int made = ::socket(AF_INET, SOCK_STREAM, 0);
  if (made < 0) return made;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(1);  // nobody listens
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

long do_it(const std::string& what) {
  char name[] = "/bin/true";
  char* const arguments[] = {name, nullptr};
  if (what == "open") return ::open("/etc/hostname", O_RDONLY);
  if (what == "connect") return connect_somewhere();
  if (what == "socket") return ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (what == "exec") return ::execv(name, arguments);
  if (what == "fork") return ::fork();
  if (what == "ptrace") return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  if (what == "mmap")
    return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
  if (what == "write") return ::pwrite(STDIN_FILENO, "x", 1, 0);
  throw Error(ExitCode::kUsage, "convoy-h5: unknown attempt '" + what + "'");
}

}  // namespace

int attempt(const std::string& wall, const std::string& what) {
  if (wall == "landlock") {
    forbid_paths_and_network();
  } else if (wall == "seccomp") {
    forbid_system_calls(Direction::kRead);
  } else {
    throw Error(ExitCode::kUsage, "convoy-h5: unknown wall '" + wall + "'");
  }
  return do_it(what) < 0 ? errno : 0;
}

}  // namespace convoy::h5
