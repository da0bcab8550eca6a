// Which processors this process may use.
#pragma once

#include <string>

namespace convoy {

// Open MPI binds each rank to one core when a job has one or two ranks and nobody asked for a binding: then half of a
// two-core machine, or 62 cores of 64, would idle.  Undoes that for the calling thread and those it starts later.
// Returns what it did, for people, or "".  A binding that the user chose is kept.
std::string undo_default_binding(int ranks, int local_ranks);

// Where some of the processors that this process may use are nearer to a device than others (its NUMA node, by
// DEVICES/ADDRESS/local_cpulist of the kernel), keeps to these, for the calling thread and those it starts later: what
// they decode and pin lies in the memory that the device reaches without a detour.  Returns what it did, or "".
std::string stay_near(const std::string& pci_address, const std::string& devices = "/sys/bus/pci/devices");

}  // namespace convoy
