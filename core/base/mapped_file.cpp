#include "core/base/mapped_file.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <system_error>

#include <sys/mman.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"

namespace convoy {
namespace {

// A live mapping, for the signal handler.  Entries are taken and given back, but never freed, so that the handler can
// walk them at any time.
struct Entry {
  std::atomic<bool> taken = false;
  std::atomic<uintptr_t> begin = 0, end = 0;  // `end` is 0 while the entry describes nothing
  std::atomic<const std::string*> message = nullptr;
  Entry* next = nullptr;  // fixed
};
std::atomic<Entry*> entries = nullptr;
struct sigaction previous_action;  // fixed before the handler can run

Entry* take_entry() {
  for (Entry* entry = entries; entry != nullptr; entry = entry->next)
    if (!entry->taken.exchange(true)) return entry;
  auto* entry = new Entry;
  entry->taken = true;
  entry->next = entries;
  while (!entries.compare_exchange_weak(entry->next, entry)) continue;
  return entry;
}

// The line to print for a fault at `address`; nullptr if no mapping of ours is there.
const std::string* message_for(uintptr_t address) {
  for (const Entry* entry = entries; entry != nullptr; entry = entry->next) {
    const uintptr_t end = entry->end, begin = entry->begin;
    const std::string* message = entry->message;
    const bool unchanged = entry->end == end;  // another thread may be giving this entry back, or taking it
    if (begin <= address && address < end && unchanged) return message;
  }
  return nullptr;
}

void call_previous(int signal, siginfo_t* info, void* context) {
  const bool sent = info->si_code <= 0;  // by kill(): nothing happens again when the handler returns
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) return previous_action.sa_sigaction(signal, info, context);
  if (previous_action.sa_handler == SIG_IGN && sent) return;
  if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN)
    return previous_action.sa_handler(signal);
  ::signal(signal, SIG_DFL);
  ::raise(signal);  // once the handler has returned
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const bool sent = info->si_code <= 0;  // si_addr is then no address
  const std::string* message = sent ? nullptr : message_for(reinterpret_cast<uintptr_t>(info->si_addr));
  if (message == nullptr) return call_previous(signal, info, context);
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, message->data(), message->size());
  ::_exit(static_cast<int>(ExitCode::kBadData));
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::sigaction(SIGBUS, nullptr, &previous_action);
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, nullptr);
  });
}

}  // namespace

struct MappedFile::Mapping {
  std::string path, message;
  void* address = nullptr;  // nullptr for an empty file, which cannot be mapped
  size_t size = 0;
  Entry* entry = nullptr;

  ~Mapping() {
    if (address == nullptr) return;
    entry->end = 0;
    entry->taken = false;
    ::munmap(address, size);
  }
};

MappedFile::MappedFile(const std::string& path) : mapping_(std::make_unique<Mapping>()) {
  const InputFile input(path);
  Mapping& mapping = *mapping_;
  mapping.path = path;
  mapping.message = "error: " + printable(path) + ": was truncated, or cannot be read, while mapped\n";
  mapping.size = static_cast<size_t>(input.size());
  if (mapping.size == 0) return;
  install_handler();
  void* address = ::mmap(nullptr, mapping.size, PROT_READ, MAP_SHARED, input.descriptor().get(), 0);
  if (address == MAP_FAILED)
    throw Error(errno == ENOMEM ? ExitCode::kOutOfMemory : ExitCode::kNoInput,
                path + ": cannot map: " + std::generic_category().message(errno));
  mapping.entry = take_entry();
  mapping.address = address;
  const auto begin = reinterpret_cast<uintptr_t>(address);
  mapping.entry->begin = begin;
  mapping.entry->message = &mapping.message;
  mapping.entry->end = begin + mapping.size;
}

MappedFile::~MappedFile() = default;
MappedFile::MappedFile(MappedFile&&) noexcept = default;
MappedFile& MappedFile::operator=(MappedFile&&) noexcept = default;

const std::string& MappedFile::path() const { return mapping_->path; }

std::span<const std::byte> MappedFile::bytes() const {
  return {static_cast<const std::byte*>(mapping_->address), mapping_->size};
}

void MappedFile::will_read(int64_t offset, int64_t size) const {
  if (size == 0) return;
  static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = reinterpret_cast<uintptr_t>(mapping_->address) + static_cast<uintptr_t>(offset);
  const uintptr_t aligned = begin / page * page;
  ::madvise(reinterpret_cast<void*>(aligned), begin - aligned + static_cast<size_t>(size), MADV_WILLNEED);
}

}  // namespace convoy
