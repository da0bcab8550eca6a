// Windows that reduce each channel by itself.
//   max_pool        y = the largest element; its gradient goes to the first one in row order.  NaN wins.
//   average_pool    y = the mean of the elements inside the image; or with the zeros of the padding, as PyTorch's
//                   count_include_pad (what lies behind the padding, with ceil, never counts)
//   global_average  y [N,1,1,C] = the mean over H and W
//   global_max      y [N,1,1,C] = the largest over H and W, as max_pool
#pragma once

#include "core/graph/layer.h"
#include "layers/window.h"

namespace convoy {

class Pool : public Layer {
 public:
  explicit Pool(const Window& window) : window_(window) {}
  const Window& window() const { return window_; }
  // Throws Error(kConfig) when a window could lie in the padding alone.
  Shape shape(std::span<const Shape> inputs) const override;

 private:
  Window window_;
};

class MaxPool : public Pool {
 public:
  static constexpr const char* kType = "max_pool";
  using Pool::Pool;
  std::string type() const override { return kType; }
};

class AveragePool : public Pool {
 public:
  static constexpr const char* kType = "average_pool";
  explicit AveragePool(const Window& window, bool include_padding = false)
      : Pool(window), include_padding_(include_padding) {}
  bool include_padding() const { return include_padding_; }
  std::string type() const override { return kType; }

 private:
  bool include_padding_;
};

// The elements that the average over window `output` counts, along one axis.
constexpr int counted(const WindowAxis& axis, int output, bool include_padding) {
  const WindowSpan span = include_padding ? inside_padded(axis, output) : inside(axis, output);
  return span.end - span.begin;
}

class GlobalAverage : public Layer {
 public:
  static constexpr const char* kType = "global_average";
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
};

class GlobalMax : public Layer {
 public:
  static constexpr const char* kType = "global_max";
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
};

// A max_pool of one window, of all of x.
MaxPool global_max_pool(const Shape& x);

std::unique_ptr<Kernel> make_cpu_kernel(const MaxPool& layer, const CompileRequest& request);
std::unique_ptr<Kernel> make_cpu_kernel(const AveragePool& layer, const CompileRequest& request);
std::unique_ptr<Kernel> make_cpu_kernel(const GlobalAverage& layer, const CompileRequest& request);
std::unique_ptr<Kernel> make_cpu_kernel(const GlobalMax& layer, const CompileRequest& request);

}  // namespace convoy
