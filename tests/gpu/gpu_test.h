// What the tests of this folder run on: the libconvoy_cuda.so that convoy itself would open, so a GPU, or the fake of
// tests/cuda_on_cpu that CONVOY_CUDA_LIBRARY names.  CONVOY_GPU_TEST_SMALL=1: at sizes for the fake.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "core/device/cuda_library.h"
#include "tests/launcher/run_fixture.h"

namespace convoy {

inline bool small() { return std::getenv("CONVOY_GPU_TEST_SMALL") != nullptr; }

// A line that check.sh puts into its results.
inline void figure(const char* name, double value) { std::printf("figure %s %.6g\n", name, value); }
inline void figure(const char* name, const std::string& text) { std::printf("figure %s %s\n", name, text.c_str()); }

class GpuTest : public RunTest {
 protected:
  // A short run in f32; later overrides win.
  Outcome train_cuda(int ranks, std::vector<std::string> overrides = {}, bool fresh = true) {
    const std::vector<std::string> common = {"device=cuda", "train.precision=f32", "train.steps=5", "batch.global=32",
                                             "data.test_size=29"};
    overrides.insert(overrides.begin(), common.begin(), common.end());
    return train(ranks, overrides, fresh);
  }

  const CudaLibrary library_ = load_cuda_library();
  const int devices_ = library_.device_count();
};

}  // namespace convoy
