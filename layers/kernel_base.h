// What the kernels of all devices share: the answers that are fixed after construction.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

// A kernel's constructor fills in the members.
class KernelBase : public Kernel {
 public:
  std::vector<ValueType> inputs() const final { return inputs_; }
  ValueType output() const final { return output_; }
  std::vector<int64_t> saved() const final { return saved_; }
  int64_t workspace_bytes() const final { return workspace_bytes_; }
  std::vector<BackwardPart> backward_parts() const final { return parts_; }
  void bind(const KernelArgs& args) override { args_ = args; }

 protected:
  std::vector<ValueType> inputs_;
  ValueType output_;
  std::vector<int64_t> saved_;
  int64_t workspace_bytes_ = 0;
  std::vector<BackwardPart> parts_;
  KernelArgs args_;
};

}  // namespace convoy
