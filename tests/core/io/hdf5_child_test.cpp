// What a child may do to its parent, by shell scripts in the place of convoy-h5; and what convoy-h5 may not do.
#include "core/io/hdf5_child.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/io/hdf5.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// A program to be run as convoy-h5.
class Script {
 public:
  explicit Script(const std::string& body) {
    put_file(program(), "#!/bin/sh\n" + body + "\n");
    std::filesystem::permissions(program(), std::filesystem::perms::owner_all);
    put_file(file(), "of no matter");
  }
  std::string program() const { return temp_ / "fake"; }
  std::string file() const { return temp_ / "f.h5"; }

 private:
  TempDirectory temp_;
};

void expect_no_child() {
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

// Reading ends with an error about the file that has `part`, soon, and leaves nothing behind.
void expect_read_fails(const std::string& part, const std::string& script, int patience_seconds = 4,
                       ExitCode code = ExitCode::kBadData) {
  const Script fake(script);
  const auto begin = Clock::now();
  expect_error(code, {part}, [&] { read_hdf5(fake.file(), {false, patience_seconds, fake.program()}); });
  EXPECT_LT(seconds_since(begin), 5) << script;
  expect_no_child();
}

// As printf(1) takes it: magic and version.
const std::string kHello = R"(printf 'CvH5\002\000\000\000')";
const std::string kRoot = kHello + R"(; printf 'G\001\000\000\000/\000\000\000\000')";
const std::string kEnd = R"(; printf 'Z\001\000\000\000\000\000\000\000')";

TEST(Hdf5Child, IsHeardWhereItIsHonest) {
  const Script fake(kRoot + kEnd);
  EXPECT_EQ(read_hdf5(fake.file(), {false, 4, fake.program()}).groups.size(), 1u);
  expect_no_child();
}

TEST(Hdf5Child, MayCrash) {
  expect_read_fails("f.h5: convoy-h5, which opens it, was ended by signal 11", "kill -SEGV $$");
  expect_read_fails("was ended by signal 11", kRoot + "; kill -SEGV $$");
  expect_read_fails("was ended by signal 6 at its end", kRoot + kEnd + "; kill -ABRT $$");
  expect_read_fails("f.h5: convoy-h5, which opens it, ended with 3 in the middle", kHello + "; exit 3");
  expect_read_fails("ended with 0 in the middle", "exit 0");
  expect_read_fails("ended with 7", kRoot + kEnd + "; exit 7");
}

TEST(Hdf5Child, MayHang) {
  expect_read_fails("f.h5: convoy-h5, which opens it, was silent, or slower than 1 MB/s, for 4 s", "sleep 100");
  expect_read_fails("was silent, or slower than 1 MB/s, for 1 s", kRoot + "; sleep 100", 1);
  expect_read_fails("was silent, or slower than 1 MB/s, for 1 s", kRoot + kEnd + "; sleep 100", 1);
  expect_read_fails("was silent, or slower than 1 MB/s, for 1 s", "while :; do :; done", 1);
  expect_read_fails("was silent", kRoot + kEnd + "; exec >&-; sleep 100", 1);
  expect_read_fails("was silent, or slower than 1 MB/s, for 1 s", "sleep 100 & wait",
                    1);  // with one of its own that keeps the line open
}

TEST(Hdf5Child, MayTalkNonsenseOrWithoutEnd) {
  expect_read_fails("said nonsense: not the beginning", "cat /dev/zero");
  expect_read_fails("said nonsense: not the beginning", "head -c 1000000 /dev/urandom");
  expect_read_fails("said nonsense: message 0", kRoot + "; cat /dev/zero");
  expect_read_fails("said more than there is to say", kRoot + kEnd + "; cat /dev/zero");
}

// Each of these says something before any silence is too long.
TEST(Hdf5Child, MayNotDripForEver) {
  expect_read_fails("was silent, or slower than 1 MB/s, for 1 s", "while :; do printf C; sleep 0.4; done", 1);
  // A text of 960 KiB, as slowly.
  const std::string endless = kHello + R"(; printf 'G\000\000\017\000'; while :; do printf x; sleep 0.5; done)";
  expect_read_fails("was silent, or slower than 1 MB/s, for 4 s", endless);
  // The end, but not its own.
  expect_read_fails("was silent, or slower than 1 MB/s, for 1 s", "sleep 0.6; " + kRoot + kEnd + "; sleep 0.6", 1);
}

TEST(Hdf5Child, MayStop) {
  expect_read_fails("was silent", "kill -STOP $$", 1);
  expect_read_fails("was silent", kRoot + "; kill -STOP $$", 1);
  expect_read_fails("was silent", kRoot + kEnd + "; exec >&-; kill -STOP $$", 1);
}

// Bytes of `file_bytes` that come as slowly as from a bad disk earn it time; what it says beyond them does not.
void expect_slow(int64_t file_bytes, bool is_read) {
  const Script fake("i=0; while [ $i -lt 10 ]; do head -c 250000 /dev/zero; sleep 0.2; i=$((i + 1)); done");
  const FileDescriptor file(::open(fake.file().c_str(), O_RDONLY | O_CLOEXEC));
  Hdf5Child child({fake.program(), "read"}, file.get(), {1, file_bytes}, "f.h5");
  std::vector<std::byte> bytes(2'500'000);
  if (is_read) {
    EXPECT_NO_THROW(child.read(bytes));
  } else {
    expect_error(ExitCode::kBadData, {"f.h5: convoy-h5, which opens it, was silent, or slower than 1 MB/s, for 1 s"},
                 [&] { child.read(bytes); });
  }
}

TEST(Hdf5Child, MayBeAsSlowAsTheDiskOfALargeFile) {
  expect_slow(2'500'000, true);
  expect_slow(100'000, false);
  expect_no_child();
}

TEST(Hdf5Child, MayNotListen) {
  Hdf5File large;
  large.path = "large.h5";
  large.groups = {{"/", {}}};
  large.datasets = {{"/w", {4'000'000}, std::vector<float>(4'000'000)}};
  const auto expect_write_fails = [&](const std::string& part, const std::string& script, ExitCode code) {
    const Script fake(script);
    const auto begin = Clock::now();
    expect_error(code, {"large.h5: ", part}, [&] { hdf5_bytes(large, {false, 1, fake.program()}); });
    EXPECT_LT(seconds_since(begin), 5) << script;
    expect_no_child();
  };
  expect_write_fails("was silent, or slower than 1 MB/s, for 1 s", "sleep 100", ExitCode::kIo);
  expect_write_fails("ended with 0 in the middle", "exit 0", ExitCode::kIo);
  expect_write_fails("was ended by signal 9", "head -c 1000000 <&1 >/dev/null; kill -9 $$", ExitCode::kIo);
  expect_write_fails("said nonsense", "echo Something else", ExitCode::kBadData);
}

TEST(Hdf5Child, IsLookedFor) {
  const Script fake("");
  expect_error(ExitCode::kUnavailable, {"/nowhere/convoy-h5: cannot be run: No such file"}, [&] {
    read_hdf5(fake.file(), {false, 4, "/nowhere/convoy-h5"});
  });
  EXPECT_EQ(find_h5_program(), std::filesystem::canonical(CONVOY_H5).string());
  expect_read_fails("convoy-h5: cannot be run: a library", "exit 127", 4, ExitCode::kUnavailable);
  expect_no_child();
}

// The exit code of convoy-h5 that tries something behind one wall, or 128 + the signal that ended it.
int attempt(const std::string& wall, const std::string& what) {
  const int status = std::system((CONVOY_H5 " try " + wall + " " + what + " </dev/null").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Hdf5Walls, LandlockAllowsNoPathAndNoNetwork) {
  EXPECT_EQ(attempt("landlock", "open"), EACCES);
  EXPECT_EQ(attempt("landlock", "exec"), EACCES);
  EXPECT_EQ(attempt("landlock", "connect"), EACCES);
}

TEST(Hdf5Walls, SeccompEndsTheProcessForAnythingElse) {
  for (const char* what : {"open", "socket", "connect", "exec", "fork", "ptrace", "mmap", "write"})
    EXPECT_EQ(attempt("seccomp", what), 128 + SIGSYS) << what;
}

// From here on, for this process and its children.
void take_landlock_away() {
  std::array filter = {
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),  // the number of the system call
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {filter.size(), filter.data()};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) ::_exit(99);
}

// In a process of its own.
int read_without_landlock(const std::string& path, bool is_unsafe) {
  const pid_t child = ::fork();
  if (child == 0) {
    take_landlock_away();
    try {
      read_hdf5(path, {is_unsafe, 4, {}});
      ::_exit(0);
    } catch (const Error& error) {
      const bool says_why = std::string(error.what()).find("no Landlock") != std::string::npos;
      ::_exit(says_why ? static_cast<int>(error.code()) : 98);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST(Hdf5Walls, WithoutLandlockNothingIsReadUnlessTheUserSaysSo) {
  const TempDirectory temp;
  Hdf5File file;
  file.path = "f.h5";
  file.groups = {{"/", {}}};
  write_hdf5(temp / "f.h5", file);
  EXPECT_EQ(read_without_landlock(temp / "f.h5", false), static_cast<int>(ExitCode::kUnavailable));
  EXPECT_EQ(read_without_landlock(temp / "f.h5", true), 0);
}

// Whether a process runs: one that has ended and was not waited for does not.
bool runs(pid_t process) {
  const std::string state = get_file("/proc/" + std::to_string(process) + "/stat");
  return !state.empty() && state.substr(state.rfind(')') + 2, 1) != "Z";
}

TEST(Hdf5Walls, EndsWithItsParent) {
  const pid_t parent = ::fork();
  if (parent == 0) {
    const FileDescriptor file(::memfd_create("f", MFD_CLOEXEC));
    const Hdf5Child child({CONVOY_H5, "write"}, file.get(), {60}, "f.h5");  // waits for what to write
    ::pause();
    ::_exit(1);
  }
  const std::string children = "/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children";
  int child = 0;
  for (int i = 0; i < 500 && child == 0; ++i) {
    child = std::atoi(get_file(children).c_str());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_GT(child, 0);
  EXPECT_TRUE(runs(child));
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  for (int i = 0; i < 500 && runs(child); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(runs(child));
}

}  // namespace
}  // namespace convoy
