// MPI's status codes and handles in C++; for dist/mpi*.cpp only.
#pragma once

#include <mpi.h>

#include <exception>
#include <source_location>
#include <string>
#include <utility>

#include "core/base/error.h"

namespace convoy {

// Throws Error(kUnavailable) with MPI's own words.
inline void check(int status, std::source_location where = std::source_location::current()) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw Error(ExitCode::kUnavailable, std::string("MPI: ") + text + " (in " + where.function_name() + ")");
}

// Owns a communicator whose errors are returned, not fatal.
class MpiComm {
 public:
  static MpiComm duplicate(MPI_Comm of) {
    MPI_Comm comm = MPI_COMM_NULL;
    check(MPI_Comm_dup(of, &comm));
    return MpiComm(comm);
  }
  // The ranks with the same `part`, by `key`, and where that is equal in their order.
  static MpiComm split(MPI_Comm of, int part, int key = 0) {
    MPI_Comm comm = MPI_COMM_NULL;
    check(MPI_Comm_split(of, part, key, &comm));
    return MpiComm(comm);
  }
  // The ranks of this host.
  static MpiComm local(MPI_Comm of) {
    MPI_Comm comm = MPI_COMM_NULL;
    check(MPI_Comm_split_type(of, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &comm));
    return MpiComm(comm);
  }
  MpiComm(MpiComm&& other) noexcept : comm_(std::exchange(other.comm_, MPI_COMM_NULL)) {}
  MpiComm& operator=(MpiComm&&) = delete;
  // Freeing is collective, so a rank that unwinds leaves it to the end of the process.
  ~MpiComm() {
    if (comm_ != MPI_COMM_NULL && std::uncaught_exceptions() == 0) MPI_Comm_free(&comm_);
  }

  MPI_Comm get() const { return comm_; }
  int rank() const {
    int rank = 0;
    check(MPI_Comm_rank(comm_, &rank));
    return rank;
  }
  int size() const {
    int size = 0;
    check(MPI_Comm_size(comm_, &size));
    return size;
  }

 private:
  explicit MpiComm(MPI_Comm comm) : comm_(comm) { check(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN)); }
  MPI_Comm comm_;
};

}  // namespace convoy
