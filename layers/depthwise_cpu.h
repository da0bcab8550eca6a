// The weight gradient of a depthwise convolution with own loops, in any layout: for the kernels that oneDNN has no
// depthwise code for (5x5 and larger).
#pragma once

#include "layers/kernel_cpu.h"
#include "layers/window.h"

namespace convoy {

// dw[c,r,s] = Σ n,p,q  dy[n,p,q,c] · x[n, p·stride - low + r·dilation, …, c]
class DepthwiseWeights {
 public:
  // x and y have one layout, f32 or bf16.
  DepthwiseWeights(const ValueType& x, const ValueType& y, const WindowAxes& axes);
  int64_t workspace_bytes() const;
  // dw [C,h,w,1] and dbias [C] (null: not wanted) are f32.
  void run(const void* x, const void* dy, float* dw, float* dbias, void* workspace) const;

 private:
  template <class T>
  void add_up(const T* x, const T* dy, float* sums) const;
  void write(const float* sums, float* dw, float* dbias) const;

  Dtype dtype_;
  Planes x_, y_;
  WindowAxis h_, w_;
  int64_t chunks_;  // of channels, of an image
  int64_t slices_;  // of images
  int64_t places_;  // of a window, and one for the bias
};

}  // namespace convoy
