// oneCCL's all-reduce on the CPU as benchmarks/all_reduce_mpi.c measures MPI's: in place, f32, sums back to back; the
// median of five rounds of the slowest rank.  One line a size: bytes, seconds.  all_reduce_peers.py compiles and runs
// it.
#include <mpi.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "oneapi/ccl.hpp"

int main(int argc, char** argv) {
  int threads = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &threads);
  const long least = argc > 1 ? std::atol(argv[1]) : 4096, most = argc > 2 ? std::atol(argv[2]) : 134217728;
  const int repeat = argc > 3 ? std::atoi(argv[3]) : 20;
  int rank = 0, size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  ccl::init();
  ccl::kvs::address_type address;
  ccl::shared_ptr_class<ccl::kvs> store;
  if (rank == 0) {
    store = ccl::create_main_kvs();
    address = store->get_address();
  }
  MPI_Bcast(address.data(), static_cast<int>(address.size()), MPI_BYTE, 0, MPI_COMM_WORLD);
  if (rank != 0) store = ccl::create_kvs(address);
  {
    const ccl::communicator communicator = ccl::create_communicator(size, rank, store);
    std::vector<float> buffer(static_cast<size_t>(most) / sizeof(float));
    for (long bytes = least; bytes <= most; bytes *= 2) {
      std::array<double, 5> rounds{};
      for (int round = -1; round < static_cast<int>(rounds.size()); ++round) {
        MPI_Barrier(MPI_COMM_WORLD);
        double seconds = MPI_Wtime();
        for (int i = 0; i < repeat; ++i) {
          ccl::allreduce(buffer.data(), buffer.data(), static_cast<size_t>(bytes) / sizeof(float),
                         ccl::datatype::float32, ccl::reduction::sum, communicator)
              .wait();
        }
        seconds = (MPI_Wtime() - seconds) / repeat;
        MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        if (round >= 0) rounds[static_cast<size_t>(round)] = seconds;
      }
      std::ranges::sort(rounds);
      if (rank == 0) std::printf("%ld %.9f\n", bytes, rounds[rounds.size() / 2]);
    }
  }
  MPI_Finalize();
  return 0;
}
