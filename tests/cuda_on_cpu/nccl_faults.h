// What goes wrong in the fake of NCCL; for tests.
#pragma once

namespace convoy::cuda_on_cpu {

constexpr int kNever = -1;

// Numbers count a rank's collectives from 0, those of a group one by one.  Set while no communicator exists.
struct NcclFaults {
  int rank = kNever;          // of whom
  bool starts = true;         // its communicator; false: it fails in the background
  int allocation = kNever;    // the call of ncclMemAlloc that fails, in the order of all ranks' calls
  int call = kNever;          // this call fails at once
  int error_behind = kNever;  // an error in the background once this collective has run
  int stops_before = kNever;  // this collective never comes, as of a process that is gone
  bool windows = true;        // false, of all ranks: ncclCommWindowRegister gives none
};
NcclFaults& nccl_faults();

}  // namespace convoy::cuda_on_cpu
