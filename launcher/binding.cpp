#include "launcher/binding.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/base/threads.h"

namespace convoy {
namespace {

constexpr int kMostRanksBoundToCores = 2;  // more are bound to a socket or NUMA node

bool started_by_open_mpi() { return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr; }

// mpirun hands --bind-to and --map-by on in the environment; Open MPI 4 and 5 call them differently.
bool binding_was_chosen() {
  for (const char* name : {"OMPI_MCA_hwloc_base_binding_policy", "OMPI_MCA_rmaps_base_mapping_policy",
                           "PRTE_MCA_hwloc_default_binding_policy"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

int64_t allowed_processors() { return std::ranges::count(processor_mask(), '1'); }

// "0-3,8,10-11", the kernel's notation; empty for what is not.
cpu_set_t parse_list(const std::string& text) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    int first = 0, last = 0;
    const int found = std::sscanf(part.c_str(), "%d-%d", &first, &last);
    if (found == 1) last = first;
    for (int i = first; found >= 1 && i <= last && i < CPU_SETSIZE; ++i) CPU_SET(i, &set);
  }
  return set;
}

}  // namespace

std::string undo_default_binding(int ranks, int local_ranks) {
  if (ranks > kMostRanksBoundToCores || !started_by_open_mpi() || binding_was_chosen()) return "";
  const int64_t before = allowed_processors();
  if (before * local_ranks >= sysconf(_SC_NPROCESSORS_ONLN)) return "";  // no processor would idle
  cpu_set_t all;
  CPU_ZERO(&all);
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) CPU_SET(processor, &all);
  sched_setaffinity(0, sizeof all, &all);  // the kernel leaves out what the cpuset does not allow
  const int64_t after = allowed_processors();
  if (after == before) return "";
  return "mpirun had bound each rank to " + std::to_string(before) + " of " + std::to_string(after) +
         " processors; undone (--bind-to core keeps it)";
}

std::string stay_near(const std::string& pci_address, const std::string& devices) {
  if (pci_address.empty()) return "";
  std::string list;
  std::getline(std::ifstream(devices + "/" + pci_address + "/local_cpulist"), list);
  const cpu_set_t near = parse_list(list);
  cpu_set_t mine, both;
  if (sched_getaffinity(0, sizeof mine, &mine) != 0) return "";
  CPU_AND(&both, &mine, &near);
  if (CPU_COUNT(&both) == 0 || CPU_EQUAL(&both, &mine) || sched_setaffinity(0, sizeof both, &both) != 0) return "";
  return "kept to the " + std::to_string(CPU_COUNT(&both)) + " of " + std::to_string(CPU_COUNT(&mine)) +
         " processors that are near GPU " + pci_address;
}

}  // namespace convoy
