// A kernel of one case with memory of its own, and a watch over how it treats that memory; on any device.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "tests/cases/case_data.h"

namespace convoy {

class KernelRig {
 public:
  // Activations are offered as `dtype` in `layout`; the kernel gets them as it asks for them.
  // With `last_reader`, the kernel may write over any of them.  Throws what the factory throws.
  KernelRig(const LayerCase& it, const KernelFactory& kernels, Device& device, Dtype dtype, Layout layout,
            bool last_reader = false);
  const Kernel& kernel() const { return *kernel_; }

  // Fills the memory: batch_state and control start at kStart, everything that is to be written as NaN.
  void load(const reference::Inputs& inputs);
  static constexpr double kStart = 0x1.0p-14;  // small, so that what is added keeps its bits

  // Steps as a plan runs them; none where the output is the input.
  void statistics();
  void forward();
  void backward(int part);

  struct Run {
    reference::Outputs outputs;       // batch_state and control as differences from kStart
    reference::Gradients gradients;   // no data where none was wanted
    std::vector<std::string> faults;  // what was written and should not have been, or the other way round
  };
  // Loads, and runs all steps.  Whatever the contract of Kernel forbids a step to read is NaN when it runs.
  Run run(const reference::Inputs& inputs);

 private:
  using Bytes = std::vector<std::byte>;

  // Device memory between guards.
  struct Region {
    std::string name;
    Tensor tensor;  // without data where `bytes` is 0
    int64_t bytes = 0;
    Buffer memory;  // guard, bytes, guard
  };

  CompileRequest request(Dtype dtype, Layout layout, bool last_reader) const;
  Region region(std::string name, const ValueType& type);
  Region region(std::string name, int64_t bytes);
  Bytes contents(const Region& region) const;  // with the guards
  void store(const Region& region, const void* bytes);
  void poison(const Region& region);
  void write(const Region& region, const reference::Array& values);
  reference::Array read(const Region& region, const ValueType& as) const;
  void make_regions();
  void bind();
  std::vector<Region*> regions();
  std::vector<std::string> faults_of_parts() const;
  // Runs a step and returns its faults.
  std::vector<std::string> watch(const std::string& step, const std::vector<const Region*>& writable,
                                 const std::function<void()>& run);
  std::vector<const Region*> written_by_forward() const;
  std::vector<const Region*> written_by(int part) const;
  void poison_what_backward_may_not_read();
  reference::Outputs outputs() const;
  reference::Gradients gradients() const;
  bool is_view(size_t input) const;  // dx[input] is dy
  const Region& result() const;      // where y is

  const LayerCase& case_;
  Device& device_;
  std::unique_ptr<Kernel> kernel_;
  int regions_made_ = 0;
  std::vector<Region> x_, dx_, w_, dw_, shadow_, state_, batch_state_, saved_;
  std::array<Region, 2> gathered_;
  Region y_, dy_, workspace_, scalars_, loss_scale_, control_;
};

}  // namespace convoy
