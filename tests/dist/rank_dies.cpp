// rank_dies exit|abort|kill|throw window|thread: ranks add for ever, until rank 1 dies in the middle of a reduction.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "dist/mpi.h"

namespace {

void die(const std::string& way) {
  if (way == "exit") std::exit(3);
  if (way == "abort") std::abort();
  if (way == "kill") std::raise(SIGKILL);
  throw convoy::Error(convoy::ExitCode::kBadData, "the death of rank 1");
}

void run(const std::string& way, const std::string& transport) {
  using convoy::MpiTransport;
  convoy::MpiSession session;
  const auto communicator = convoy::make_mpi_communicator(
      session, {.transport = transport == "window" ? MpiTransport::kShared : MpiTransport::kProgressThread});
  constexpr int kElements = 1'000'000;
  const convoy::Buffer buffer(communicator->allocator(), kElements * int64_t{4});
  for (int i = 0;; ++i) {
    for (int k = 0; k < 3; ++k) communicator->all_reduce_sum({buffer.data(), {{1, 1, 1, kElements}}});
    if (i == 20 && session.rank() == 1) die(way);
    communicator->stream().synchronize();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  try {
    run(argv[1], argv[2]);
  } catch (const convoy::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
}
