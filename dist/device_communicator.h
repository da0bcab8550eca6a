// What communicators of device memory have in common: another one does the host's half.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "dist/communicator.h"

namespace convoy {

class DeviceCommunicator : public Communicator {
 public:
  // `host` must outlive it.
  explicit DeviceCommunicator(Communicator& host) : host_(host) {}
  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  int local_rank() const override { return host_.local_rank(); }
  int local_size() const override { return host_.local_size(); }
  void barrier() override { host_.barrier(); }
  std::vector<std::string> all_gather_bytes(const std::string& mine) override { return host_.all_gather_bytes(mine); }
  std::string broadcast_bytes(const std::string& mine, int root) override { return host_.broadcast_bytes(mine, root); }
  std::string order_of_sums() const override { return host_.order_of_sums(); }
  [[noreturn]] void abort(ExitCode code) noexcept override {
    host_.abort(code);
    std::_Exit(static_cast<int>(code));  // GCC 12 does not see that a virtual function does not return
  }

 protected:
  Communicator& host() const { return host_; }

 private:
  Communicator& host_;
};

}  // namespace convoy
