// For fakes of libraries that give work to CUDA streams.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <string>

namespace convoy::cuda_on_cpu {

// Runs `work` in the order of the stream when the stream runs; as a node of the graph, at every launch, while the
// stream is captured.  What it throws is the stream's failure.  Device memory is accessible while it runs.
void enqueue(cudaStream_t stream, const std::string& name, std::function<void()> work);

}  // namespace convoy::cuda_on_cpu
