// Compiled without fused multiply-adds (see CMakeLists.txt), as the CPU's loops are: what needs no more than + - · /
// and square roots comes out as the same bits on both, and the kernels wait for memory anyway.
#include "core/train/flat_ops_cuda.h"

#include "core/device/copy_cuda.h"
#include "core/device/handle.h"
#include "core/train/updates_cuda.cuh"

namespace convoy {
namespace {

struct Add {
  float* to;
  const float* from;
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<float, N> sum = load<N>(to + i);
    const Pack<float, N> term = load<N>(from + i);
    for (int k = 0; k < N; ++k) sum.at[k] += term.at[k];
    store(to + i, sum);
  }
};

// to = a x + b to
struct Combine {
  float* to;
  float a;
  const float* x;
  float b;
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<float, N> sum = load<N>(to + i);
    const Pack<float, N> term = load<N>(x + i);
    for (int k = 0; k < N; ++k) sum.at[k] = a * term.at[k] + b * sum.at[k];
    store(to + i, sum);
  }
};

struct Swap {
  float *a, *b;
  template <int N>
  __device__ void run(int64_t i) const {
    const Pack<float, N> pack = load<N>(a + i);
    store(a + i, load<N>(b + i));
    store(b + i, pack);
  }
};

// Element i is pixel i of all rows put together.
struct GatherImages {
  uint8_t* to;
  ImageSet images;
  const ImageRow* rows;
  template <int>
  __device__ void run(int64_t i) const {
    const int64_t line = i / images.shape.w;
    const auto x = static_cast<int>(i % images.shape.w), y = static_cast<int>(line % images.shape.h);
    gather_pixel(rows[line / images.shape.h], images, x, y, to + i * images.shape.c);
  }
};

__global__ void add_clock_kernel(int64_t* nanoseconds, int sign) { *nanoseconds += sign * clock_nanoseconds(); }

// ---- Non-finite gradients

struct CountNonFinite {
  const float* from;
  unsigned* found;
  template <int N>
  __device__ void run(int64_t i) const {
    const Pack<float, N> pack = load<N>(from + i);
    bool finite = true;
    for (float x : pack.at) finite = finite && std::isfinite(x);
    if (!finite) atomicAdd(found, 1U);  // rare, and whole numbers have no order
  }
};

__global__ void flag_kernel(unsigned* found, float* control) {
  if (*found == 0) return;
  control[kOverflow] += 1;
  *found = 0;
}

// ---- The norm of all gradients

struct AllGradients {
  static constexpr int kCount = 1;
  const float* from;

  __device__ void start() {}
  __device__ void at(int64_t i, float (&terms)[kCount]) const { terms[0] = from[i]; }
};

// The root of the sums of all blocks.
__device__ double norm_of(const double* sums) {
  double sum = 0;
  for (int i = 0; i < kNormBlocks; ++i) sum += sums[i];
  return sqrt(sum);
}

__global__ void norm_kernel(const double* sums, float* norm) { *norm = static_cast<float>(norm_of(sums)); }

__global__ void clip_kernel(const double* sums, const LossScale* loss_scale, float largest, float* control,
                            float* clip) {
  const double norm = norm_of(sums) / loss_scale->scale;
  control[kGradientNorm] = static_cast<float>(norm);
  *clip = static_cast<float>(fmin(1.0, largest / (norm + 1e-6)));
}

// ---- Updates

template <class S>
struct Sgd {
  Update<S> update;
  float* momentum;
  float learning_rate_scale, factor;
  bool nesterov;

  __device__ bool start() { return update.start(learning_rate_scale); }
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<float, N> w = load<N>(update.value + i), g = update.decayed(i, w);
    if (factor != 0) {
      Pack<float, N> m = load<N>(momentum + i);
      for (int k = 0; k < N; ++k) m.at[k] = factor * m.at[k] + g.at[k];
      store(momentum + i, m);
      for (int k = 0; k < N; ++k) g.at[k] = nesterov ? g.at[k] + factor * m.at[k] : m.at[k];
    }
    for (int k = 0; k < N; ++k) w.at[k] -= update.rate * g.at[k];
    update.write(i, w);
  }
};

template <class S>
struct Rmsprop {
  Update<S> update;
  float *variance, *momentum;
  float learning_rate_scale;
  RmspropOptions options;

  __device__ bool start() { return update.start(learning_rate_scale); }
  template <int N>
  __device__ void run(int64_t i) const {
    const float alpha = options.alpha;
    Pack<float, N> w = load<N>(update.value + i), v = load<N>(variance + i), m = update.decayed(i, w);
    for (int k = 0; k < N; ++k) {
      const float g = m.at[k];
      v.at[k] = alpha * v.at[k] + (1 - alpha) * g * g;
      m.at[k] = g / (sqrtf(v.at[k]) + options.epsilon);
    }
    store(variance + i, v);
    if (options.momentum != 0) {
      const Pack<float, N> last = load<N>(momentum + i);
      for (int k = 0; k < N; ++k) m.at[k] += options.momentum * last.at[k];
      store(momentum + i, m);
    }
    for (int k = 0; k < N; ++k) w.at[k] -= update.rate * m.at[k];
    update.write(i, w);
  }
};

template <class S>
struct Adam {
  Update<S> update;
  float *mean, *variance;
  float learning_rate_scale;
  AdamOptions options;

  float rate = 0, root = 0, keep = 1;

  __device__ bool start() {
    if (!update.start(learning_rate_scale)) return false;
    __shared__ float shared[2];  // powers in f64 are dear: one thread's are enough
    if (threadIdx.x == 0) {
      const Correction correction = correction_of(options, update.control);
      shared[0] = static_cast<float>(static_cast<double>(update.control.scalars->learning_rate) * learning_rate_scale /
                                     correction.mean);
      shared[1] = static_cast<float>(1 / sqrt(correction.variance));
    }
    __syncthreads();
    rate = shared[0];
    root = shared[1];
    if (options.decoupled) {
      keep = static_cast<float>(update.share_kept(learning_rate_scale));
      update.decay = 0;
    }
    return true;
  }
  template <int N>
  __device__ void run(int64_t i) const {
    const float b1 = options.beta1, b2 = options.beta2;
    Pack<float, N> w = load<N>(update.value + i), m = load<N>(mean + i), v = load<N>(variance + i);
    const Pack<float, N> g = update.decayed(i, w);
    for (int k = 0; k < N; ++k) {
      m.at[k] = b1 * m.at[k] + (1 - b1) * g.at[k];
      v.at[k] = b2 * v.at[k] + (1 - b2) * g.at[k] * g.at[k];
      w.at[k] = keep * w.at[k] - rate * m.at[k] / (sqrtf(v.at[k]) * root + options.epsilon);
    }
    store(mean + i, m);
    store(variance + i, v);
    update.write(i, w);
  }
};

struct MoveAverage {
  float* average;
  const float* value;
  float share;
  UpdateControl control;

  __device__ bool start() { return !skips(control); }
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<float, N> pack = load<N>(average + i);
    const Pack<float, N> values = load<N>(value + i);
    for (int k = 0; k < N; ++k) pack.at[k] += share * (values.at[k] - pack.at[k]);
    store(average + i, pack);
  }
};

struct UpdateState {
  float* state;
  const float* sum;
  float momentum;
  UpdateControl control;

  float share = 0;

  __device__ bool start() {
    share = control.scalars->one_over_micro_batches;
    return !skips(control);
  }
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<float, N> pack = load<N>(state + i);
    const Pack<float, N> sums = load<N>(sum + i);
    for (int k = 0; k < N; ++k) pack.at[k] = (1 - momentum) * pack.at[k] + momentum * (sums.at[k] * share);
    store(state + i, pack);
  }
};

__global__ void loss_scale_kernel(LossScale* loss_scale, const float* control, LossScaleOptions options) {
  const LossScale now = *loss_scale;
  if (control[kOverflow] > 0 || control[kNonFinite] > 0) {
    *loss_scale = {fmaxf(now.scale / 2, options.smallest), 0};
  } else if (now.good_steps + 1 >= static_cast<float>(options.grow_every)) {
    *loss_scale = {fminf(now.scale * 2, options.largest), 0};
  } else {
    loss_scale->good_steps = now.good_steps + 1;
  }
}

size_t bytes(int64_t elements) { return static_cast<size_t>(elements) * sizeof(float); }

class CudaFlatOps : public FlatOps {
 public:
  CudaFlatOps() {
    check(cudaMalloc(found_.out(), sizeof(unsigned)));
    check(cudaMemset(found_.get(), 0, sizeof(unsigned)));
    check(cudaMalloc(norms_.out(), sizeof(NormScratch)));
    check(cudaDeviceSynchronize());  // streams do not wait for it by themselves
  }

  void clear(float* to, int64_t elements, Stream& stream) override {
    check(cudaMemsetAsync(to, 0, bytes(elements), cuda_stream(stream)));
  }
  void copy(float* to, const float* from, int64_t elements, Stream& stream) override {
    check(cudaMemcpyAsync(to, from, bytes(elements), cudaMemcpyDeviceToDevice, cuda_stream(stream)));
  }
  void add(float* to, const float* from, int64_t elements, Stream& stream) override {
    for_each<kN>(Add{to, from}, elements, aligned<kN>(to, from), stream);
  }
  void convert(void* to, Dtype to_dtype, const void* from, Dtype from_dtype, int64_t elements,
               Stream& stream) override {
    convert_cuda(to, to_dtype, from, from_dtype, elements, stream);
  }
  void add_clock(int64_t* nanoseconds, int sign, Stream& stream) override {
    launch(add_clock_kernel, 1, 1, stream, nanoseconds, sign);
  }
  void gather_images(uint8_t* to, const ImageSet& images, const ImageRow* rows, int count, Stream& stream) override {
    for_each<1>(GatherImages{to, images, rows}, int64_t{count} * images.shape.h * images.shape.w, true, stream);
  }

  void flag_nonfinite(const float* from, int64_t elements, float* control, Stream& stream) override {
    auto* const found = static_cast<unsigned*>(found_.get());
    for_each<kN>(CountNonFinite{from, found}, elements, aligned<kN>(from), stream);
    launch(flag_kernel, 1, 1, stream, found, control);
  }

  void sgd(const UpdateBuffers& buffers, float* momentum, const UpdateRange& range, const SgdOptions& options,
           const UpdateControl& control, Stream& stream) override {
    with_elements_cuda(buffers.shadow_dtype, [&](auto zero) {
      const auto update = update_of<decltype(zero)>(buffers, range, control);
      float* const m = momentum == nullptr ? nullptr : momentum + range.begin;
      for_each<kN>(Sgd<decltype(zero)>{update, m, range.learning_rate_scale, options.momentum, options.nesterov},
                   range.end - range.begin, aligned<kN>(update.value, update.gradient, update.shadow, m), stream);
    });
  }
  void adam(const UpdateBuffers& buffers, float* mean, float* variance, const UpdateRange& range,
            const AdamOptions& options, const UpdateControl& control, Stream& stream) override {
    with_elements_cuda(buffers.shadow_dtype, [&](auto zero) {
      const auto update = update_of<decltype(zero)>(buffers, range, control);
      float *const m = mean + range.begin, *const v = variance + range.begin;
      for_each<kN>(Adam<decltype(zero)>{update, m, v, range.learning_rate_scale, options}, range.end - range.begin,
                   aligned<kN>(update.value, update.gradient, update.shadow, m, v), stream);
    });
  }

  void rmsprop(const UpdateBuffers& buffers, float* variance, float* momentum, const UpdateRange& range,
               const RmspropOptions& options, const UpdateControl& control, Stream& stream) override {
    with_elements_cuda(buffers.shadow_dtype, [&](auto zero) {
      const auto update = update_of<decltype(zero)>(buffers, range, control);
      float *const v = variance + range.begin, *const m = momentum == nullptr ? nullptr : momentum + range.begin;
      for_each<kN>(Rmsprop<decltype(zero)>{update, v, m, range.learning_rate_scale, options}, range.end - range.begin,
                   aligned<kN>(update.value, update.gradient, update.shadow, v, m), stream);
    });
  }

  void norm(float* norm, const float* from, int64_t elements, Stream& stream) override {
    launch(norm_kernel, 1, 1, stream, sum_squares(from, elements, stream), norm);
  }

  void clip_norm(const float* gradient, int64_t elements, const LossScale* loss_scale, float largest, float* control,
                 float* clip, Stream& stream) override {
    const double* const sums = sum_squares(gradient, elements, stream);
    launch(clip_kernel, 1, 1, stream, sums, loss_scale, largest, control, clip);
  }

  void lars(const UpdateBuffers& buffers, float* velocity, const UpdateRange& range, const LarsOptions& options,
            const UpdateControl& control, Stream& stream) override {
    lars_cuda(buffers, velocity, range, options, control, norms(), stream);
  }
  void lamb(const UpdateBuffers& buffers, float* mean, float* variance, const UpdateRange& range,
            const AdamOptions& options, const UpdateControl& control, Stream& stream) override {
    lamb_cuda(buffers, mean, variance, range, options, control, norms(), stream);
  }
  void muon_direction(const UpdateBuffers& buffers, float* momentum, float* direction, const UpdateRange& range,
                      const MuonOptions& options, const UpdateControl& control, Stream& stream) override {
    muon_direction_cuda(buffers, momentum, direction, range, options, control, norms(), stream);
  }
  void muon(const UpdateBuffers& buffers, const float* direction, const UpdateRange& range, const MuonOptions& options,
            const UpdateControl& control, Stream& stream) override {
    muon_cuda(buffers, direction, range, options, control, norms(), stream);
  }
  void combine(float* to, float a, const float* x, float b, int64_t elements, Stream& stream) override {
    for_each<kN>(Combine{to, a, x, b}, elements, aligned<kN>(to, x), stream);
  }
  void move_average(float* average, const float* value, int64_t elements, float share, const UpdateControl& control,
                    Stream& stream) override {
    for_each<kN>(MoveAverage{average, value, share, control}, elements, aligned<kN>(average, value), stream);
  }
  void swap(float* a, float* b, int64_t elements, Stream& stream) override {
    for_each<kN>(Swap{a, b}, elements, aligned<kN>(a, b), stream);
  }

  void update_state(float* state, const float* sum, int64_t elements, float momentum, const UpdateControl& control,
                    Stream& stream) override {
    for_each<kN>(UpdateState{state, sum, momentum, control}, elements, aligned<kN>(state, sum), stream);
  }
  void update_loss_scale(LossScale* loss_scale, const float* control, const LossScaleOptions& options,
                         Stream& stream) override {
    launch(loss_scale_kernel, 1, 1, stream, loss_scale, control, options);
  }

 private:
  NormScratch* norms() const { return static_cast<NormScratch*>(norms_.get()); }
  // [kNormBlocks]
  const double* sum_squares(const float* from, int64_t elements, Stream& stream) const {
    launch(sums_of_squares_kernel<AllGradients>, kNormBlocks, kNormThreads, stream, AllGradients{from}, elements,
           norms());
    return norms()->sums[0];
  }

  Handle<void*, cudaFree> norms_;  // NormScratch
  Handle<void*, cudaFree> found_;  // unsigned: threads that met a non-finite gradient; 0 between calls
};

}  // namespace

std::unique_ptr<FlatOps> cuda_flat_ops() { return std::make_unique<CudaFlatOps>(); }

}  // namespace convoy
