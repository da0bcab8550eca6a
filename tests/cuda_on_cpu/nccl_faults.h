// What goes wrong in the fake of NCCL; for tests.
#pragma once

namespace convoy::cuda_on_cpu {

constexpr int kNever = -1;

// Numbers count a rank's collectives from 0, those of a group one by one.  Set while no communicator exists.
struct NcclFaults {
  int rank = kNever;          // of whom
  bool starts = true;         // its communicator; false: it fails in the background
  int allocation = kNever;    // this call of ncclMemAlloc fails; a rank is known by its device, of the same number
  int call = kNever;          // this call fails at once
  int error_behind = kNever;  // an error in the background once this collective has run
  bool windows = true;        // false, of all ranks: ncclCommWindowRegister gives none
};
NcclFaults& nccl_faults();

}  // namespace convoy::cuda_on_cpu
