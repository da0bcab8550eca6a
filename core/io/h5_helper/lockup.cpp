#include "core/io/h5_helper/lockup.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/error.h"

namespace convoy::h5 {
namespace {

[[noreturn]] void unavailable(const std::string& what) {
  throw Error(ExitCode::kUnavailable, what + ": " + std::strerror(errno));
}

// At most what the process may have already: raising that takes privileges.
void limit(__rlimit_resource resource, const char* name, rlim_t most) {
  rlimit both = {};
  if (::getrlimit(resource, &both) == 0) both.rlim_cur = both.rlim_max = std::min(both.rlim_max, most);
  if (::setrlimit(resource, &both) != 0)
    unavailable("convoy-h5: " + std::string(name) + " cannot be limited to " + std::to_string(both.rlim_max));
}

void give_up_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) unavailable("no_new_privs cannot be set");
}

// As of ABI 7 (Linux 6.15); <linux/landlock.h> may be older than the kernel.
struct LandlockRules {
  uint64_t files = 0, network = 0, scopes = 0;
};
constexpr uint32_t kLandlockVersion = 1;  // a flag

// What each ABI is the first to know, as bits.
LandlockRules everything_of(long abi) {
  constexpr std::array<int, 6> kFileBits = {0, 13, 14, 15, 15, 16};  // by ABI, up to 5
  LandlockRules rules;
  rules.files = (uint64_t{1} << kFileBits[static_cast<size_t>(std::min(abi, 5L))]) - 1;
  if (abi >= 4) rules.network = 3;  // bind and connect by TCP
  if (abi >= 6) rules.scopes = 3;   // abstract sockets and signals to others
  return rules;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // which takes terabytes of address space, and tries memory by writing it to a pipe
#else
constexpr bool kSanitized = false;
#endif

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

// glibc's qsort() asks sysinfo() how much memory there is; libhdf5 sleeps where it tries again.
constexpr std::array kAllowed = {
    SYS_read,          SYS_write,        SYS_pread64,   SYS_munmap,         SYS_mremap,       SYS_brk,
    SYS_madvise,       SYS_futex,        SYS_exit,      SYS_exit_group,     SYS_nanosleep,    SYS_clock_nanosleep,
    SYS_clock_gettime, SYS_gettimeofday, SYS_getrandom, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sysinfo};
constexpr std::array kAllowedToSanitizers = {SYS_pipe2, SYS_close, SYS_sched_yield, SYS_sigaltstack};
constexpr std::array kAllowedToWrite = {SYS_pwrite64, SYS_ftruncate};
constexpr std::array kAllowedWithoutExec = {SYS_mmap, SYS_mprotect};  // the third argument says what for

sock_filter load(size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
sock_filter verdict(uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }
// Goes on `yes` instructions later where the loaded value is `value`, else `no` later.
sock_filter if_equal(uint32_t value, uint8_t yes, uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}

std::vector<sock_filter> filter_for(Direction direction) {
  const size_t protection = offsetof(seccomp_data, args) + 2 * sizeof(uint64_t);  // its low half
  std::vector<sock_filter> filter = {load(offsetof(seccomp_data, arch)), if_equal(kArchitecture, 1, 0),
                                     verdict(SECCOMP_RET_KILL_PROCESS), load(offsetof(seccomp_data, nr))};
  const auto allow = [&](long call) {
    filter.push_back(if_equal(static_cast<uint32_t>(call), 0, 1));
    filter.push_back(verdict(SECCOMP_RET_ALLOW));
  };
  std::ranges::for_each(kAllowed, allow);
  if (kSanitized) std::ranges::for_each(kAllowedToSanitizers, allow);
  if (direction == Direction::kWrite) std::ranges::for_each(kAllowedToWrite, allow);
  for (const long call : kAllowedWithoutExec) {
    constexpr uint32_t kExecutable = 4;  // PROT_EXEC
    filter.push_back(if_equal(static_cast<uint32_t>(call), 0, 4));
    filter.push_back(load(protection));
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kExecutable, 1, 0));
    filter.push_back(verdict(SECCOMP_RET_ALLOW));
    filter.push_back(verdict(SECCOMP_RET_KILL_PROCESS));
  }
  filter.push_back(verdict(SECCOMP_RET_KILL_PROCESS));
  return filter;
}

}  // namespace

void leave_everything() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::clearenv();  // libhdf5 takes orders from it, such as where to load plugins from
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere < 0) {
    ::close(STDERR_FILENO);
  } else if (nowhere != STDERR_FILENO) {
    ::dup2(nowhere, STDERR_FILENO);
    ::close(nowhere);
  }
}

void limit_resources(Direction direction, int64_t file_bytes) {
  constexpr rlim_t kFreeBytes = rlim_t{1} << 30, kFreeSeconds = 30, kBytesPerSecond = 10'000'000;
  const auto bytes = static_cast<rlim_t>(file_bytes);
  const bool writes = direction == Direction::kWrite;
  if (!kSanitized) limit(RLIMIT_AS, "its address space", writes ? RLIM_INFINITY : kFreeBytes + 8 * bytes);
  limit(RLIMIT_CPU, "its processor time", kFreeSeconds + (writes ? 3600 : bytes / kBytesPerSecond));
  limit(RLIMIT_CORE, "its core file", 0);
  limit(RLIMIT_FSIZE, "the size of its files", writes ? RLIM_INFINITY : 0);
  if (!kSanitized) limit(RLIMIT_NOFILE, "its open files", 0);  // those that are open stay so
}

void forbid_paths_and_network() {
  give_up_privileges();
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kLandlockVersion);
  if (abi < 1) unavailable("the kernel has no Landlock to lock convoy-h5 up with (--unsafe_import does without)");
  const LandlockRules rules = everything_of(abi);
  const size_t size = sizeof(uint64_t) * (abi >= 6 ? 3 : abi >= 4 ? 2 : 1);
  const long ruleset = ::syscall(SYS_landlock_create_ruleset, &rules, size, 0);
  if (ruleset < 0 || ::syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
    unavailable("Landlock cannot lock convoy-h5 up (--unsafe_import does without)");
  ::close(static_cast<int>(ruleset));
}

void forbid_system_calls(Direction direction) {
  give_up_privileges();
  std::vector<sock_filter> filter = filter_for(direction);
  const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
    unavailable("seccomp cannot lock convoy-h5 up (--unsafe_import does without)");
}

}  // namespace convoy::h5
