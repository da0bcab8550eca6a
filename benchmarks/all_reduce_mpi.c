// MPI_Allreduce as `convoy bench all-reduce` measures ours, for any MPI: in place, f32, sums back to back; the median of
// five rounds of the slowest rank.  One line a size: bytes, seconds.  benchmarks/all_reduce_peers.py compiles and runs it.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { kRounds = 5 };

static int compare(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  const long least = argc > 1 ? atol(argv[1]) : 4096, most = argc > 2 ? atol(argv[2]) : 134217728;
  const int repeat = argc > 3 ? atoi(argv[3]) : 20;
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  float* buffer = calloc((size_t)most, 1);
  if (buffer == NULL) MPI_Abort(MPI_COMM_WORLD, 71);
  for (long bytes = least; bytes <= most; bytes *= 2) {
    double rounds[kRounds];
    for (int round = -1; round < kRounds; ++round) {
      MPI_Barrier(MPI_COMM_WORLD);
      double seconds = MPI_Wtime();
      for (int i = 0; i < repeat; ++i) {
        MPI_Allreduce(MPI_IN_PLACE, buffer, (int)(bytes / 4), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
      }
      seconds = (MPI_Wtime() - seconds) / repeat;
      MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
      if (round >= 0) rounds[round] = seconds;
    }
    qsort(rounds, kRounds, sizeof rounds[0], compare);
    if (rank == 0) printf("%ld %.9f\n", bytes, rounds[kRounds / 2]);
  }
  free(buffer);
  MPI_Finalize();
  return 0;
}
