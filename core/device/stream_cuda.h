// The stream of a CudaDevice, and how code that talks to CUDA gets at it; for *_cuda.* files.
#pragma once

#include <memory>

#include "core/device/cuda_check.h"
#include "core/device/device.h"
#include "core/device/handle.h"

namespace convoy {

using CudaEventHandle = Handle<cudaEvent_t, cudaEventDestroy>;
using CudaStreamHandle = Handle<cudaStream_t, cudaStreamDestroy>;

class CudaStream : public Stream {
 public:
  // Never waits for the default stream.  `urgent`: the card prefers its work.
  explicit CudaStream(bool urgent = false);
  cudaStream_t get() const { return stream_.get(); }
  // `other` may be any stream: where it is not CUDA's, the host waits for it.
  void wait_for(Stream& other) override;
  void wait_until(Event& event) override;
  void synchronize() override;

 private:
  CudaStreamHandle stream_;
  CudaEventHandle reached_;  // what others wait for
};

class CudaEvent : public Event {
 public:
  CudaEvent() { check(cudaEventCreateWithFlags(event_.out(), cudaEventDisableTiming)); }
  void record(Stream& stream) override { check(cudaEventRecord(event_.get(), static_cast<CudaStream&>(stream).get())); }
  void wait() override { check(cudaEventSynchronize(event_.get())); }
  cudaEvent_t get() const { return event_.get(); }

 private:
  CudaEventHandle event_;
};

inline cudaStream_t cuda_stream(Stream& stream) { return static_cast<CudaStream&>(stream).get(); }

}  // namespace convoy
