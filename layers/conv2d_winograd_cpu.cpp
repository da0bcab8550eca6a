#include "layers/conv2d_winograd_cpu.h"

#include <optional>

#include "layers/kernel_cpu.h"
#include "layers/onednn_cpu.h"
#include "layers/winograd_cpu.h"

namespace convoy {
namespace {

using winograd::Tiles;

// Whether the products saved pay for the transforms.  Those of the filters cost as much as the products of kTransformed
// tiles (measured on Zen 3); filters that were transformed once only have to be read: kRead.
bool enough_tiles(const Tiles& tiles, bool constant) {
  constexpr int64_t kTransformed = 50, kRead = 20;
  constexpr double kSpeed = 0.8;  // of these products, against those of a direct convolution
  const Shape& y = tiles.y.shape;
  return kSpeed * 9 * y.n * y.h * y.w > 36.0 * (tiles.count + (constant ? kRead : kTransformed));
}

class WinogradConv2dCpu : public CpuKernel {
 public:
  WinogradConv2dCpu(const Conv2d& layer, const CompileRequest& request, const Tiles& tiles);
  std::string engine() const override { return "winograd:avx2"; }
  bool backward_reads_input(int) const override { return wants_dw_; }
  bool backward_reads_output() const override { return options_.relu && !parts_.empty(); }
  int overwrites() const override { return in_place_ ? 1 : -1; }
  void bind(const KernelArgs& args) override;
  void forward(Stream&) override;
  void backward(int part, Stream&) override;

 private:
  float* filters() const {
    return constant_ ? own_filters_.as<float>() : static_cast<float*>(onednn::at(args_.workspace, filter_offset_));
  }
  void* workspace() const { return onednn::at(args_.workspace, workspace_offset_); }

  Conv2dOptions options_;
  Tiles tiles_;
  std::optional<Tiles> gradient_;  // of dx, if that is wanted
  bool constant_, wants_dw_, in_place_;
  int64_t masked_offset_ = 0, filter_offset_ = 0, workspace_offset_ = 0;  // dy behind the relu | filters | tiles
  std::unique_ptr<Allocator> allocator_ = make_host_allocator();          // of own_filters_
  Buffer own_filters_;                                                    // constant ones, transformed once
};

WinogradConv2dCpu::WinogradConv2dCpu(const Conv2d& layer, const CompileRequest& request, const Tiles& tiles)
    : options_(layer.options()),
      tiles_(tiles),
      constant_(request.constant_parameters && request.mode == Mode::kEval),
      wants_dw_(request.mode == Mode::kTrain && request.wants_dw),
      in_place_(options_.add && request.may_overwrite(1)) {
  inputs_ = {tiles_.x};
  output_ = tiles_.y;
  if (options_.add) inputs_.push_back(output_);
  CHECK(!options_.add || request.mode == Mode::kEval, "a convolution that adds has no gradient");
  if (request.mode == Mode::kTrain && request.wants_dx[0]) gradient_ = tiles_.data_gradient();
  if (options_.relu && wants_dw_ && gradient_) {
    parts_ = {{"backward", {0}, true}};  // one part: dy behind the relu is computed once
  } else {
    if (wants_dw_) parts_.push_back({"backward_weights", {}, true});
    if (gradient_) parts_.push_back({"backward_data", {0}, false});
  }
  onednn::WorkspaceParts parts;
  if (options_.relu && !parts_.empty()) masked_offset_ = parts.add(output_.bytes());
  const Tiles& other = gradient_.value_or(tiles_);
  if (!constant_) filter_offset_ = parts.add(std::max(tiles_.filter_bytes(), other.filter_bytes()));
  workspace_offset_ = parts.add(std::max(tiles_.workspace_bytes(), other.workspace_bytes()));
  workspace_bytes_ = parts.bytes();
}

void WinogradConv2dCpu::bind(const KernelArgs& args) {
  args_ = args;
  if (!constant_) return;
  own_filters_ = Buffer(*allocator_, tiles_.filter_bytes());
  winograd::transform_filters(tiles_, args_.w[0].as<float>(), filters());
}

void WinogradConv2dCpu::forward(Stream&) {
  if (!constant_) winograd::transform_filters(tiles_, args_.w[0].as<float>(), filters());
  winograd::Epilogue epilogue{.relu = options_.relu};
  if (options_.bias) epilogue.bias = args_.w[1].as<float>();
  if (options_.add) epilogue.add = args_.x[1].as<float>();
  winograd::convolve(tiles_, args_.x[0].as<float>(), filters(), epilogue, args_.y.as<float>(), workspace());
}

void WinogradConv2dCpu::backward(int part, Stream&) {
  const BackwardPart& wanted = parts_[static_cast<size_t>(part)];
  const float* dy = args_.dy.as<float>();
  if (options_.relu) {
    auto* const masked = static_cast<float*>(onednn::at(args_.workspace, masked_offset_));
    relu_gradient(output_, args_.y.data, args_.dy.data, masked);
    dy = masked;
  }
  if (wanted.dw) {
    float* const dbias = options_.bias ? args_.dw[1].as<float>() : nullptr;
    winograd::weight_gradient(tiles_, args_.x[0].as<float>(), dy, args_.dw[0].as<float>(), dbias, filters(),
                              workspace());
  }
  if (!wanted.dx.empty()) {
    winograd::transform_filters(*gradient_, args_.w[0].as<float>(), filters());
    winograd::convolve(*gradient_, dy, filters(), {}, args_.dx[0].as<float>(), workspace());
  }
}

}  // namespace

bool suits_winograd(const Conv2dOptions& options, const ValueType& x, const Shape& y, int channels) {
  const Window& window = options.window;
  const bool is_3x3 = window.kernel_h == 3 && window.kernel_w == 3 && window.stride_h == 1 && window.stride_w == 1 &&
                      window.dilation_h == 1 && window.dilation_w == 1 && options.groups == 1;
  constexpr int kTile = winograd::kTile;
  const int64_t tiles = int64_t{(y.h + kTile - 1) / kTile} * ((y.w + kTile - 1) / kTile);
  return is_3x3 && x.dtype == Dtype::kF32 && x.shape.c >= channels && y.c >= channels &&
         int64_t{y.h} * y.w >= tiles * kTile * kTile / 2;
}

std::unique_ptr<Kernel> make_winograd_kernel(const Conv2d& layer, const CompileRequest& request) {
  constexpr int kChannels = 32;  // with fewer, the transforms of pixels cost more than the products saved
  const auto& [shape, dtype, offered] = request.inputs[0];
  const WindowAxes axes = window_axes(layer.options().window, shape);
  const Shape y{shape.n, axes.h.output, axes.w.output, layer.options().filters};
  const bool wanted = winograd::available() && simd_level() == SimdLevel::kAvx2;
  if (!wanted || !suits_winograd(layer.options(), request.inputs[0], y, kChannels)) return nullptr;
  const Layout blocked{winograd::kChannelBlock};
  const Tiles tiles({shape, dtype, blocked}, {y, dtype, blocked}, axes.h.low, axes.w.low);
  if (!enough_tiles(tiles, request.constant_parameters && request.mode == Mode::kEval)) return nullptr;
  return std::make_unique<WinogradConv2dCpu>(layer, request, tiles);
}

}  // namespace convoy
