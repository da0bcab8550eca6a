// Named devices and links.  Data sheets say peaks; efficiency and overhead are fitted by
// benchmarks/predict_published.py
// --fit on two published runs of a generation each: 8 and 64 H100, 8 and 64 A100.  Nothing here knows any other run.
#include <algorithm>
#include <array>

#include "launcher/predict/compute_times.h"

namespace convoy {
namespace {

struct Fitted {
  double efficiency, overhead;
};
constexpr Fitted kHopper{0.516, 2.89e-3}, kAmpere{0.475, 3.83e-3};

constexpr double kOfBandwidth = 0.88;  // that a kernel reaches, of any device: not fitted

DeviceProfile device(const char* name, double teraflops, double terabytes, const Fitted& of, const char* link) {
  return {name, 1e12 * teraflops, of.efficiency, 1e12 * kOfBandwidth * terabytes, of.overhead, link};
}

const std::vector<DeviceProfile>& devices() {
  static const std::vector<DeviceProfile> all{
      device("h200-sxm", 989, 4.8, kHopper, "dgx-h100"),        device("h100-sxm", 989, 3.35, kHopper, "dgx-h100"),
      device("h100-pcie", 756, 2.0, kHopper, "pcie5+ndr"),      device("a100-sxm", 312, 2.039, kAmpere, "dgx-a100"),
      device("a100-sxm-40gb", 312, 1.555, kAmpere, "dgx-a100"), device("a100-pcie", 312, 1.935, kAmpere, "pcie4+hdr"),
  };
  return all;
}

}  // namespace

const DeviceProfile* find_device(const std::string& name) {
  const auto found = std::ranges::find(devices(), name, &DeviceProfile::name);
  return found == devices().end() ? nullptr : &*found;
}

std::string device_names() {
  std::string names;
  for (const DeviceProfile& it : devices()) names += (names.empty() ? "" : ", ") + it.name;
  return names;
}

}  // namespace convoy
