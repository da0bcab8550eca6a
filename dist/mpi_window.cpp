// The shared window: memory of one host that all its ranks map, from MPI_Win_allocate_shared, and a WindowQueue on it.
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "dist/mpi_handles.h"
#include "dist/mpi_transport.h"
#include "dist/window_queue.h"

namespace convoy {
namespace {

constexpr int64_t kPage = 4096;
constexpr const char* kSharedFolder = "/dev/shm";  // where Open MPI 4 and 5 keep shared windows on Linux
// Left free: each rank of Open MPI 4 has a file of 4 MiB there that takes its pages when messages fill it, and a
// process that does not get them dies of SIGBUS.
constexpr int64_t kReservePerRank = int64_t{5} << 20;

int64_t round_up(int64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

std::string in_mib(int64_t bytes) {
  const int64_t tenths = bytes * 10 / (int64_t{1} << 20);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MiB";
}

int64_t free_bytes() {
  struct statvfs status {};
  if (statvfs(kSharedFolder, &status) != 0) return 0;
  return static_cast<int64_t>(status.f_bavail) * static_cast<int64_t>(status.f_frsize);
}

// Zero-fills, and so takes the pages now; false if there are not enough.  MPI only names a size, and a rank that
// touches a page that /dev/shm no longer has dies of SIGBUS; the kernel, writing on our behalf, returns an error
// instead.
bool populate(std::byte* data, int64_t bytes) {
  const int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  if (zeros < 0) return false;
  while (bytes > 0) {
    const ssize_t done = read(zeros, data, static_cast<size_t>(bytes));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) break;
    data += done;
    bytes -= done;
  }
  close(zeros);
  return bytes == 0;
}

// All windows of the job.  Every method is collective.
class SharedWindows {
 public:
  SharedWindows(MPI_Comm comm, int64_t limit) : comm_(MpiComm::duplicate(comm)), left_(limit) {}
  ~SharedWindows() {
    if (std::uncaught_exceptions() > 0) return;  // freeing is collective, and peers may not come
    for (MPI_Win& window : windows_) MPI_Win_free(&window);
  }
  SharedWindows(const SharedWindows&) = delete;
  SharedWindows& operator=(const SharedWindows&) = delete;

  int rank() const { return comm_.rank(); }
  MPI_Comm comm() const { return comm_.get(); }

  // Zero-filled; empty where there is no room, and then shortage() says why.
  std::optional<SharedRegion> map(int64_t bytes);
  const std::string& shortage() const { return shortage_; }

 private:
  bool has_room(int64_t bytes);
  bool everywhere(bool mine);

  MpiComm comm_;
  int64_t left_;
  std::vector<MPI_Win> windows_;
  std::string shortage_;
};

bool SharedWindows::has_room(int64_t bytes) {
  int64_t free = free_bytes();
  check(MPI_Bcast(&free, 1, MPI_INT64_T, 0, comm_.get()));
  const int64_t available = std::min(left_, std::max<int64_t>(free - kReservePerRank * comm_.size(), 0));
  if (bytes <= available) return true;
  shortage_ = std::string(kSharedFolder) + " has " + in_mib(available) + " to spare, " + in_mib(bytes) + " are needed";
  return false;
}

bool SharedWindows::everywhere(bool mine) {
  int all = mine ? 1 : 0;
  check(MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPI_INT, MPI_MIN, comm_.get()));
  return all != 0;
}

std::optional<SharedRegion> SharedWindows::map(int64_t bytes) {
  const int64_t each = round_up(bytes) + kPage;  // a page more, because MPI promises no alignment
  const int64_t total = each * comm_.size();
  if (!has_room(total)) return std::nullopt;
  void* mine = nullptr;
  MPI_Win window = MPI_WIN_NULL;
  check(MPI_Win_allocate_shared(each, 1, MPI_INFO_NULL, comm_.get(), &mine, &window));
  windows_.push_back(window);
  SharedRegion region{{}, bytes};
  for (int r = 0; r < comm_.size(); ++r) {
    MPI_Aint size = 0;
    int unit = 0;
    void* base = nullptr;
    check(MPI_Win_shared_query(window, r, &size, &unit, &base));
    const auto address = reinterpret_cast<uintptr_t>(base);  // the same offset within a page in every process
    region.copies.push_back(static_cast<std::byte*>(base) +
                            (round_up(static_cast<int64_t>(address)) - static_cast<int64_t>(address)));
  }
  if (everywhere(populate(region.copies[static_cast<size_t>(rank())], round_up(bytes)))) {
    left_ -= total;
    return region;
  }
  check(MPI_Win_free(&windows_.back()));
  windows_.pop_back();
  shortage_ = std::string(kSharedFolder) + " was full before " + in_mib(total) + " could be had";
  return std::nullopt;
}

// Flags and scratch of a rank lie in one region: flags first, scratch from the next page on.
constexpr int64_t kFlagBytes = (static_cast<int64_t>(sizeof(RankFlags)) + kPage - 1) / kPage * kPage;

WindowQueue make_queue(SharedWindows& windows, const SharedRegion& region) {
  std::vector<RankFlags*> flags;
  SharedRegion scratch{{}, WindowQueue::kScratchBytes};
  for (std::byte* copy : region.copies) {
    flags.push_back(reinterpret_cast<RankFlags*>(copy));
    scratch.copies.push_back(copy + kFlagBytes);
  }
  new (flags[static_cast<size_t>(windows.rank())]) RankFlags();
  check(MPI_Barrier(windows.comm()));  // no one reads flags that are not there yet
  return WindowQueue(windows.rank(), std::move(flags), std::move(scratch));
}

class WindowTransport : public MpiTransportLayer, private Allocator {
 public:
  WindowTransport(std::unique_ptr<SharedWindows> windows, const SharedRegion& region)
      : windows_(std::move(windows)), queue_(make_queue(*windows_, region)) {}

  CollectiveQueue& queue() override { return queue_; }
  Allocator& allocator() override { return *this; }
  std::string name() const override {
    if (private_bytes_ == 0) return "mpi (shared window)";
    return "mpi (shared window; " + in_mib(private_bytes_) + " are copied through it: " + windows_->shortage() + ")";
  }
  void fail() noexcept override { queue_.fail(); }

 private:
  void* allocate(int64_t bytes) override {
    queue_.synchronize();  // a rank that blocks in MPI does not move the window on
    std::optional<SharedRegion> region = windows_->map(bytes);
    if (!region) {
      private_bytes_ += bytes;
      return private_memory_->allocate(bytes);
    }
    std::byte* mine = region->copies[static_cast<size_t>(windows_->rank())];
    queue_.add(std::move(*region));
    return mine;
  }
  // Giving a window back is collective, and a rank that unwinds is alone: windows live as long as this object.
  void deallocate(void* data, int64_t bytes) noexcept override {
    if (!queue_.remove(static_cast<std::byte*>(data))) private_memory_->deallocate(data, bytes);
  }

  std::unique_ptr<SharedWindows> windows_;
  WindowQueue queue_;
  std::unique_ptr<Allocator> private_memory_ = make_host_allocator();
  int64_t private_bytes_ = 0;
};

}  // namespace

std::unique_ptr<MpiTransportLayer> make_window_transport(MPI_Comm comm, int64_t shared_bytes, std::string& why) {
  auto windows = std::make_unique<SharedWindows>(comm, shared_bytes);
  const std::optional<SharedRegion> region = windows->map(kFlagBytes + WindowQueue::kScratchBytes);
  if (region) return std::make_unique<WindowTransport>(std::move(windows), *region);
  why = windows->shortage();
  return nullptr;
}

}  // namespace convoy
