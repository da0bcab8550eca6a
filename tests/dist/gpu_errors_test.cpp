// What goes wrong on one GPU ends all ranks, with the reason.  Each of these would hang if nobody asked NCCL.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "tests/dist/gpu_ranks.h"

namespace convoy {
namespace {

using cuda_on_cpu::NcclFaults;

// What each rank was told, by rank; "" if nothing.
class Told {
 public:
  explicit Told(int ranks) : texts_(static_cast<size_t>(ranks)) {}
  void listen(int rank, const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      const std::lock_guard lock(mutex_);
      texts_[static_cast<size_t>(rank)] = error.what();
      throw;
    }
  }
  void expect(int rank, const std::string& part) const {
    const std::string& text = texts_[static_cast<size_t>(rank)];
    EXPECT_NE(text.find(part), std::string::npos) << "rank " << rank << ": '" << text << "'";
  }
  void expect_all(const std::string& part) const {
    for (size_t r = 0; r < texts_.size(); ++r) expect(static_cast<int>(r), part);
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> texts_;
};

Tensor vector_of(const Buffer& buffer, int elements) { return {buffer.data(), {{1, 1, 1, elements}}}; }

// Runs `body` on ranks with NCCL, all of which must get an Error.
ExitCode run_to_the_end(Told& told, int ranks, const NcclFaults& faults,
                        const std::function<void(Communicator&, Device&)>& body) {
  cuda_on_cpu::boot({.schedule = cuda_on_cpu::Schedule::kThreads});
  cuda_on_cpu::nccl_faults() = faults;
  ExitCode code = ExitCode::kDone;
  try {
    run_thread_group(ranks, [&](Communicator& host) {
      told.listen(host.rank(), [&] {
        const std::unique_ptr<Device> device = cuda_device(host.rank());
        const std::unique_ptr<Communicator> communicator = nccl_communicator(host, *device, {});
        body(*communicator, *device);
      });
    });
  } catch (const Error& error) {
    code = error.code();
  }
  EXPECT_EQ(cuda_on_cpu::live(), cuda_on_cpu::Live{}) << "something was not freed";
  cuda_on_cpu::nccl_faults() = {};
  return code;
}

void reduce_for_ever(Communicator& it, Device&) {
  const Buffer buffer(it.allocator(), 400);
  for (;;) {
    it.all_reduce_sum(vector_of(buffer, 100));
    it.stream().synchronize();
  }
}

TEST(GpuErrors, RanksThatShareAGpuAreNamedBeforeNcclIsAsked) {
  cuda_on_cpu::boot({.schedule = cuda_on_cpu::Schedule::kThreads});
  Told told(3);
  EXPECT_THROW(run_thread_group(3,
                                [&](Communicator& host) {
                                  const std::unique_ptr<Device> device = cuda_device(host.rank() == 1 ? 1 : 0);
                                  told.listen(host.rank(), [&] { nccl_communicator(host, *device, {}); });
                                }),
               Error);
  told.expect_all("ranks 0 and 2 share GPU 0000:10:00.0 of ");
  told.expect_all("distributed.share_device: true");
}

TEST(GpuErrors, ARankThatDoesNotStartEndsAll) {
  Told told(4);
  const ExitCode code = run_to_the_end(told, 4, {.rank = 2, .starts = false}, [](Communicator&, Device&) {});
  EXPECT_EQ(code, ExitCode::kUnavailable);
  told.expect_all("rank 2: NCCL did not start: unhandled system error (injected: no start)");
}

TEST(GpuErrors, ARankWithoutMemoryEndsAll) {
  Told told(3);
  const ExitCode code = run_to_the_end(told, 3, {.rank = 1, .allocation = 1}, [](Communicator& it, Device&) {
    const Buffer first(it.allocator(), 400), second(it.allocator(), 4000);
  });
  EXPECT_EQ(code, ExitCode::kOutOfMemory);
  told.expect_all("rank 1: no 4000 bytes of GPU memory for gradients: ");
}

TEST(GpuErrors, ACallThatFailsEndsAll) {
  for (const bool in_group : {false, true}) {
    Told told(3);
    run_to_the_end(told, 3, {.rank = 1, .call = 7}, [&](Communicator& it, Device&) {
      const Buffer buffer(it.allocator(), 400);
      for (;;) {
        in_group ? it.reduce_scatter_sum(vector_of(buffer, 100)) : it.all_reduce_sum(vector_of(buffer, 100));
        it.stream().synchronize();
      }
    });
    told.expect(1, "rank 1: NCCL: internal error (injected: call 7)");
    told.expect(0, "rank 0: NCCL: remote process exited or there was a network error (rank 1 is gone)");
    told.expect(2, "rank 2: NCCL: remote process exited or there was a network error (rank 1 is gone)");
  }
}

TEST(GpuErrors, AnErrorInTheBackgroundEndsAll) {
  Told told(5);
  run_to_the_end(told, 5, {.rank = 3, .error_behind = 20}, reduce_for_ever);
  told.expect(3, "rank 3: NCCL: unhandled system error (injected: error behind)");
  for (const int other : {0, 1, 2, 4}) told.expect(other, "rank 3 is gone");
}

// Whoever looks between steps only hears of it, too.
TEST(GpuErrors, ProgressThrowsWhatHappenedInTheBackground) {
  Told told(2);
  run_to_the_end(told, 2, {.rank = 0, .error_behind = 0}, [](Communicator& it, Device& device) {
    const Buffer buffer(it.allocator(), 400);
    it.all_reduce_sum(vector_of(buffer, 100));
    device.compute().wait_for(it.stream());
    device.compute().synchronize();
    for (;;) {
      it.progress();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (it.rank() == 1) it.barrier();  // until rank 0 has failed
    }
  });
  told.expect(0, "injected: error behind");
}

TEST(GpuErrors, ARankThatStopsIsMissedByThoseThatWait) {
  for (const bool captured : {false, true}) {
    constexpr int kRanks = 4;
    Told told(kRanks);
    std::atomic<int> missed = 0;
    run_to_the_end(told, kRanks, {}, [&](Communicator& it, Device& device) {
      const Buffer buffer(it.allocator(), 400);
      const auto step = [&] {
        it.stream().wait_for(device.compute());
        it.all_reduce_sum(vector_of(buffer, 100));
        device.compute().wait_for(it.stream());
      };
      const std::unique_ptr<CapturedWork> work = device.capture(step);
      const std::unique_ptr<Event> done = device.make_event();
      for (int i = 0;; ++i) {
        if (it.rank() == 2 && i == 5) {
          while (missed < kRanks - 1) std::this_thread::sleep_for(std::chrono::milliseconds(5));
          throw Error(ExitCode::kUnavailable, "stopped");
        }
        try {
          captured ? work->launch(device.compute()) : step();
          done->record(device.compute());
          done->wait();  // knows nothing of NCCL
          it.progress();
        } catch (const Error&) {
          ++missed;
          throw;
        }
      }
    });
    for (const int other : {0, 1, 3}) told.expect(other, "collective 5, all_reduce of 100 f32");
    for (const int other : {0, 1, 3}) told.expect(other, "did not come: rank 2");
  }
}

TEST(GpuErrors, DifferentCollectivesAreNamed) {
  Told told(2);
  run_to_the_end(told, 2, {}, [](Communicator& it, Device&) {
    const Buffer buffer(it.allocator(), 400);
    it.all_reduce_sum(vector_of(buffer, it.rank() == 0 ? 100 : 96));
    it.stream().synchronize();
  });
  told.expect_all("rank 0: all_reduce of 100 f32 from window 0 + 0; rank 1: all_reduce of 96 f32 from window 0 + 0");
}

TEST(GpuErrors, DifferentWindowsAreNamed) {
  Told told(2);
  run_to_the_end(told, 2, {},
                 [](Communicator& it, Device&) { const Buffer buffer(it.allocator(), it.rank() == 0 ? 400 : 800); });
  told.expect_all("gradient memory cannot be registered: ");
  told.expect_all("window 0 differs; rank 0: 400 bytes; rank 1: 800 bytes");
}

TEST(GpuErrors, ARankThatFailsElsewhereEndsAll) {
  Told told(3);
  const ExitCode code = run_to_the_end(told, 3, {}, [](Communicator& it, Device& device) {
    const Buffer buffer(it.allocator(), 400);
    for (int i = 0;; ++i) {
      if (it.rank() == 1 && i == 9) throw Error(ExitCode::kBadData, "boom");
      it.all_reduce_sum(vector_of(buffer, 100));
      device.compute().wait_for(it.stream());
      device.compute().synchronize();
      it.progress();
    }
  });
  EXPECT_TRUE(code == ExitCode::kBadData || code == ExitCode::kUnavailable);
  told.expect(1, "boom");
  told.expect(0, "rank 1 is gone");
  told.expect(2, "rank 1 is gone");
}

TEST(GpuErrors, NothingIsDoneAfterTheEnd) {
  Told told(2);
  run_to_the_end(told, 2, {.rank = 0, .call = 0}, [](Communicator& it, Device&) {
    const Buffer buffer(it.allocator(), 400);
    for (int i = 0; i < 3; ++i) {
      EXPECT_THROW(
          {
            it.all_reduce_sum(vector_of(buffer, 100));
            it.stream().synchronize();
          },
          Error);
    }
    it.progress();
  });
  told.expect(0, "injected: call 0");
  told.expect(1, "rank 0 is gone");
}

TEST(GpuErrors, WithoutWindowsMemoryIsOrdinary) {
  run_gpu_ranks(2, Sums::kByNccl,
                [](Communicator& it, Device&) {
                  const Buffer buffer(it.allocator(), 400);
                  it.all_reduce_sum(vector_of(buffer, 100));
                  it.stream().synchronize();
                  EXPECT_EQ(it.name(), "nccl 2.28.9");
                },
                {.windows = false});
}

TEST(GpuErrorsDeathTest, AbortEndsTheProcessWithTheCode) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the machine of the test before has threads
  EXPECT_EXIT(
      run_gpu_ranks(2, Sums::kByNccl,
                    [](Communicator& it, Device&) { it.rank() == 1 ? it.abort(ExitCode::kNonFinite) : it.barrier(); }),
      testing::ExitedWithCode(81), "");
}

}  // namespace
}  // namespace convoy
