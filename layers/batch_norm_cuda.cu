// Batch normalisation with own kernels: three launches forward (one in evaluation), three backward.
//
// Passes over tensors of the size of y, read + written: forward 2 + 1 (evaluation 1 + 1), backward 4 + 1; an added
// input costs one read forward and, where its gradient is wanted, one write backward.  The mask is 1/16 of a pass.
#include "layers/batch_norm.h"

#include "layers/batch_norm_kernels_cuda.cuh"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

using namespace batch_norm;

// Threads of a pass: few enough that all run at once, with 64 registers each, on an A100 and on what is larger.
constexpr int64_t kThreads = 108 * 1024;
constexpr int64_t kLeastRows = 4;  // of a thread, where there are enough
constexpr int kPackOfX = 4;        // most that add_gradients takes side by side with Gate::kX: more need registers

// What a pass over [rows, channels] is cut into.
struct Cut {
  Cut(const Shape& shape, int pack);

  dim3 grid() const { return {static_cast<unsigned>(tiles), static_cast<unsigned>(parts)}; }
  unsigned merge_grid() const { return static_cast<unsigned>((tiling.channels + kMergeLanes - 1) / kMergeLanes); }

  int block = block_threads();
  Tiling tiling;
  int64_t tiles, parts;  // blocks over the channels, over the rows
};

Cut::Cut(const Shape& shape, int pack) : tiling{shape.elements() / shape.c, shape.c, 1} {
  const int64_t columns = shape.c / pack, most_lanes = pack == 1 ? kMostLanes<1> : kMostLanes<2>;
  while (tiling.lanes < columns && tiling.lanes < most_lanes) tiling.lanes *= 2;
  tiles = (columns + tiling.lanes - 1) / tiling.lanes;
  const int64_t at_once = block / tiling.lanes, turns = (tiling.rows + at_once - 1) / at_once;
  parts = std::max<int64_t>(1, std::min(kThreads / (block * tiles), turns / kLeastRows));
}

// Calls body(zero, pack): a value of the element type, and as a constant how many a thread has side by side.
template <class Body>
void with_packs(Dtype dtype, bool packed, const Body& body) {
  with_elements_cuda(dtype, [&](auto zero) {
    if (packed) return body(zero, std::integral_constant<int, kPack<decltype(zero)>>());
    body(zero, std::integral_constant<int, 1>());
  });
}

class BatchNormCuda : public CudaKernel {
 public:
  BatchNormCuda(const BatchNorm& layer, const CompileRequest& request);
  bool backward_reads_input(int input) const override { return input == 0 && needs_sums(); }
  bool backward_reads_output() const override { return options_.relu && !parts_.empty() && !needs_sums(); }
  bool dx_is_dy(int input) const override { return input == 1 && !options_.relu; }
  std::array<int64_t, 2> gathers() const override;
  void bind(const KernelArgs& args) override;
  void statistics(Stream& stream) override;
  void forward(Stream& stream) override;
  void backward(int part, Stream& stream) override;

 private:
  bool writes_dw() const { return !parts_.empty() && parts_[0].dw; }
  bool writes_dx(int input) const {
    return std::ranges::any_of(parts_, [=](const auto& part) { return std::ranges::count(part.dx, input) > 0; });
  }
  bool needs_sums() const { return writes_dw() || writes_dx(0); }
  // Whether statistics depend on x: then so do the gradients.
  bool of_batch() const { return !options_.inference; }
  // Whether backward has a pass before that of dx: for sums, and where it writes dy behind the relu.
  bool adds_gradients() const { return of_batch() || writes_dw() || writes_dx(1); }
  bool of_ranks() const { return training_ && ranks_ > 1 && of_batch(); }
  bool gathers_gradients() const { return parts_.size() > 1; }
  bool keeps_mask() const { return options_.add && options_.relu && needs_sums(); }
  Gate gate() const { return !options_.relu ? Gate::kNone : options_.add ? Gate::kMask : Gate::kX; }

  NormalizerSource source(const Normalizer* kept) const;
  StatisticsUse statistics_use() const;
  template <class T, int N>
  void add_up_statistics(Stream& stream) const;
  template <class T, int N>
  void add_up_gradients(Stream& stream) const;
  template <class T, int N>
  void write_input_gradient(Stream& stream) const;
  template <class... Parameters, class... Args>
  void launch_per_channel(void (*kernel)(Parameters...), Stream& stream, const Args&... args) const;

  BatchNormOptions options_;
  bool training_;
  int ranks_;           // that share statistics
  int pack_;            // elements that a thread takes side by side
  Cut cut_, sums_cut_;  // of all passes but add_gradients; of that
  // In saved, or else in the workspace.
  Normalizer* normalizers_ = nullptr;  // [channels]
  float* rests_ = nullptr;             // [channels]; see Normalizer
  uint8_t* mask_ = nullptr;            // a byte for each pack
  // In the workspace.
  Correction* corrections_ = nullptr;  // [channels]
  float* sums_ = nullptr;              // [parts][2][channels]
};

int pack_of(const ValueType& type) {
  int pack = 1;
  with_elements_cuda(type.dtype, [&](auto zero) {
    if (packs<decltype(zero)>(type.shape.c)) pack = kPack<decltype(zero)>;
  });
  return pack;
}

constexpr int64_t kTableBytes = sizeof(Normalizer) + sizeof(float);  // of a channel; room for a Correction

BatchNormCuda::BatchNormCuda(const BatchNorm& layer, const CompileRequest& request)
    : options_(layer.options()),
      training_(request.mode == Mode::kTrain),
      ranks_(request.ranks),
      pack_(pack_of(activation_cuda(request.inputs[0]))),
      cut_(request.inputs[0].shape, pack_),
      sums_cut_(request.inputs[0].shape, gate() == Gate::kX ? std::min(pack_, kPackOfX) : pack_) {
  output_ = activation_cuda(request.inputs[0]);
  inputs_.assign(request.inputs.size(), output_);
  if (!training_) return;
  parts_ = batch_norm_backward_parts(options_, request);
  const int64_t channels = output_.shape.c;
  if (needs_sums()) saved_ = {channels * kTableBytes};
  if (keeps_mask()) saved_.push_back(output_.shape.elements() / pack_);
  workspace_bytes_ =
      channels * (kTableBytes + std::max(cut_.parts, sums_cut_.parts) * 2 * static_cast<int64_t>(sizeof(float)));
}

std::array<int64_t, 2> BatchNormCuda::gathers() const {
  const int64_t channels = output_.shape.c;
  return {of_ranks() ? gathered_elements<RankMoments>(ranks_, channels) : 0,
          gathers_gradients() ? gathered_elements<RankGradients>(ranks_, channels) : 0};
}

// Packs need the alignment that a plan gives to all values.
void BatchNormCuda::bind(const KernelArgs& args) {
  args_ = args;
  const auto expect_aligned = [](const Tensor& tensor) {
    CHECK(reinterpret_cast<uintptr_t>(tensor.data) % 16 == 0, "batch_norm: a value that is not aligned");
  };
  for (const std::vector<Tensor>* some : {&args.x, &args.dx}) std::ranges::for_each(*some, expect_aligned);
  expect_aligned(args.y);
  expect_aligned(args.dy);
  corrections_ = static_cast<Correction*>(args.workspace);
  sums_ = reinterpret_cast<float*>(static_cast<std::byte*>(args.workspace) + output_.shape.c * kTableBytes);
  normalizers_ = static_cast<Normalizer*>(saved_.empty() ? args.workspace : args.saved[0]);
  rests_ = reinterpret_cast<float*>(normalizers_ + output_.shape.c);
  if (keeps_mask()) mask_ = static_cast<uint8_t*>(args.saved[1]);
}

// ---- Forward

NormalizerSource BatchNormCuda::source(const Normalizer* kept) const {
  const auto [weight, bias] = batch_norm_parameters(options_, args_.w);
  return {kept, args_.state[0].as<float>(), args_.state[1].as<float>(), weight, bias, options_.epsilon};
}

StatisticsUse BatchNormCuda::statistics_use() const {
  return {source(nullptr), normalizers_, rests_, args_.batch_state[0].as<float>(), args_.batch_state[1].as<float>()};
}

// A thread for each channel.
template <class... Parameters, class... Args>
void BatchNormCuda::launch_per_channel(void (*kernel)(Parameters...), Stream& stream, const Args&... args) const {
  const int block = block_threads();
  launch(kernel, static_cast<unsigned>((output_.shape.c + block - 1) / block), block, stream, args...);
}

template <class T, int N>
void BatchNormCuda::add_up_statistics(Stream& stream) const {
  const T* x = args_.x[0].as<T>();
  launch(add_statistics<T, N>, cut_.grid(), cut_.block, stream, x, cut_.tiling, sums_);
  launch(use_statistics<T>, cut_.merge_grid(), cut_.block, stream, x, cut_.tiling, sums_, cut_.parts, statistics_use(),
         static_cast<RankMoments*>(args_.gathered[0].data), ranks_);
}

void BatchNormCuda::statistics(Stream& stream) {
  with_packs(output_.dtype, pack_ > 1,
             [&](auto zero, auto pack) { add_up_statistics<decltype(zero), decltype(pack)::value>(stream); });
}

void BatchNormCuda::forward(Stream& stream) {
  with_packs(output_.dtype, pack_ > 1, [&](auto zero, auto pack) {
    using T = decltype(zero);
    constexpr int N = decltype(pack)::value;
    if (of_ranks()) {
      launch_per_channel(use_gathered_statistics, stream, cut_.tiling, statistics_use(),
                         static_cast<const RankMoments*>(args_.gathered[0].data), ranks_);
    } else if (training_ && of_batch()) {
      add_up_statistics<T, N>(stream);
    } else if (training_) {
      launch_per_channel(use_running, stream, output_.shape.c, source(nullptr), normalizers_, rests_);
    }
    const auto run = [&](auto* kernel) {
      launch(kernel, cut_.grid(), cut_.block, stream, args_.x[0].as<T>(), options_.add ? args_.x[1].as<T>() : nullptr,
             cut_.tiling, source(training_ ? normalizers_ : nullptr), args_.y.as<T>(), mask_);
    };
    if (keeps_mask()) return run(normalize<T, N, true, true, true>);
    if (options_.add)
      return run(options_.relu ? normalize<T, N, true, true, false> : normalize<T, N, true, false, false>);
    run(options_.relu ? normalize<T, N, false, true, false> : normalize<T, N, false, false, false>);
  });
}

// ---- Backward

void BatchNormCuda::backward(int part, Stream& stream) {
  if (!needs_sums()) return relu_gradient_cuda(output_, args_.y.data, args_.dy.data, args_.dx[1].data, stream);
  with_packs(output_.dtype, pack_ > 1, [&](auto zero, auto pack) {
    using T = decltype(zero);
    constexpr int N = decltype(pack)::value;
    if (part == 0) {
      add_up_gradients<T, N>(stream);
    } else {
      launch_per_channel(use_gathered_gradients, stream, cut_.tiling, normalizers_, rests_, corrections_,
                         static_cast<const RankGradients*>(args_.gathered[1].data), ranks_);
    }
    if (std::ranges::count(parts_[static_cast<size_t>(part)].dx, 0) > 0) write_input_gradient<T, N>(stream);
  });
}

template <class T, int N>
void BatchNormCuda::add_up_gradients(Stream& stream) const {
  T* kept = writes_dx(1) ? args_.dx[1].as<T>() : nullptr;
  const auto add_up = [&](auto* kernel) {
    launch(kernel, sums_cut_.grid(), sums_cut_.block, stream, args_.x[0].as<T>(), args_.dy.as<T>(), mask_,
           sums_cut_.tiling, normalizers_, kept, sums_);
  };
  if (adds_gradients()) switch (gate()) {
      case Gate::kNone: add_up(add_gradients<T, N, Gate::kNone, false>); break;
      case Gate::kX: add_up(add_gradients<T, std::min(N, kPackOfX), Gate::kX, false>); break;
      case Gate::kMask:
        add_up(kept != nullptr ? add_gradients<T, N, Gate::kMask, true> : add_gradients<T, N, Gate::kMask, false>);
        break;
    }
  const BatchNormParameters dw = writes_dw() ? batch_norm_parameters(options_, args_.dw) : BatchNormParameters{};
  launch(use_gradients, sums_cut_.merge_grid(), sums_cut_.block, stream, sums_cut_.tiling, sums_,
         adds_gradients() ? sums_cut_.parts : 0, normalizers_, rests_, of_batch(), corrections_, dw.weight, dw.bias,
         static_cast<RankGradients*>(args_.gathered[1].data), ranks_);
}

template <class T, int N>
void BatchNormCuda::write_input_gradient(Stream& stream) const {
  const auto run = [&](auto* kernel, const T* dy) {
    launch(kernel, cut_.grid(), cut_.block, stream, args_.x[0].as<T>(), dy, mask_, cut_.tiling, normalizers_,
           corrections_, args_.dx[0].as<T>());
  };
  // dx[1] of this step is dy behind the relu.
  if (writes_dx(1) && !gathers_gradients()) return run(input_gradient<T, N, Gate::kNone>, args_.dx[1].as<T>());
  switch (gate()) {
    case Gate::kNone: return run(input_gradient<T, N, Gate::kNone>, args_.dy.as<T>());
    case Gate::kX: return run(input_gradient<T, N, Gate::kX>, args_.dy.as<T>());
    case Gate::kMask: return run(input_gradient<T, N, Gate::kMask>, args_.dy.as<T>());
  }
}

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const BatchNorm& layer, const CudaCompile& compile) {
  return std::make_unique<BatchNormCuda>(layer, compile.request);
}

}  // namespace convoy
