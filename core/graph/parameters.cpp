#include "core/graph/parameters.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <vector>

#include "core/base/hash.h"
#include "core/base/rng.h"
#include "core/base/threads.h"

namespace convoy {
namespace {

constexpr int64_t kAlignment = 128;  // elements

int64_t aligned(int64_t elements) { return (elements + kAlignment - 1) / kAlignment * kAlignment; }

// The first of the element's normal numbers that is not beyond ±2.
float truncated_normal01(uint64_t key, int64_t element) {
  for (uint64_t attempt = 0;; ++attempt) {
    const Random4 words = philox(key, attempt, static_cast<uint64_t>(element));
    for (const float z : {normal01(words[0], words[1]), normal01(words[2], words[3])}) {
      if (std::abs(z) <= 2) return z;
    }
  }
}

float draw(const Initializer& initializer, uint64_t key, int64_t element) {
  const Random4 words = philox(key, 0, static_cast<uint64_t>(element));
  switch (initializer.kind) {
    case Initializer::Kind::kConstant: return initializer.scale;
    case Initializer::Kind::kUniform: return (2 * uniform01(words[0]) - 1) * initializer.scale;
    case Initializer::Kind::kNormal: return normal01(words[0], words[1]) * initializer.scale;
    case Initializer::Kind::kTruncatedNormal: return truncated_normal01(key, element) * initializer.scale;
    case Initializer::Kind::kOrthogonal: break;  // no element is by itself
  }
  return 0;
}

double dot(const double* a, const double* b, int64_t n) { return std::inner_product(a, a + n, b, 0.0); }

// Gram and Schmidt's rows of a normal matrix, twice over for the sake of rounding.  They are those of a QR
// decomposition whose R has a positive diagonal, which makes them uniform among all (Mezzadri 2007).
void fill_orthogonal(const ParameterSlot& slot, uint64_t key, float* out) {
  const int64_t n = slot.shape.n, m = slot.elements() / n;
  const int64_t rows = std::min(n, m), length = std::max(n, m);
  std::vector<double> q(static_cast<size_t>(rows * length));
  for (int64_t i = 0; i < rows; ++i) {
    double* row = q.data() + i * length;
    for (int64_t k = 0; k < length; ++k) row[k] = draw({Initializer::Kind::kNormal, 1}, key, i * length + k);
    for (int64_t j = 0; j < 2 * i; ++j) {
      const double* other = q.data() + j % i * length;
      const double shared = dot(row, other, length);
      for (int64_t k = 0; k < length; ++k) row[k] -= shared * other[k];
    }
    const double norm = std::sqrt(dot(row, row, length));
    for (int64_t k = 0; k < length; ++k) row[k] /= norm;
  }
  const double scale = slot.initializer.scale;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < m; ++k) out[i * m + k] = static_cast<float>(scale * q[n <= m ? i * m + k : k * n + i]);
  }
}

}  // namespace

int64_t Ownership::elements() const {
  int64_t sum = 0;
  for (const ElementRange& part : parts) sum += part.size();
  return sum;
}

Parameters::Parameters(const Graph& graph, Allocator& allocator, Allocator& gradient_allocator, Dtype shadow,
                       bool travels_as_bf16, bool values_travel)
    : allocator_(allocator), gradient_allocator_(gradient_allocator), shadow_dtype_(shadow) {
  for (const Graph::Node& node : graph.nodes()) {
    const std::vector<Shape> inputs = graph.input_shapes(node);
    first_slots_.push_back({node.name, {slots_.size(), state_slots_.size()}});
    for (ParameterSpec& spec : node.layer->parameters(inputs)) {
      if (node.zero_weight && spec.name == "weight") spec.initializer = {};
      slots_.push_back(
          {node.name + "." + spec.name, spec.shape, spec.initializer, 0, !node.frozen, node.learning_rate_scale});
    }
    for (StateSpec& spec : node.layer->state(inputs)) {
      state_slots_.push_back({node.name + "." + spec.name, spec.shape, spec.initial, spec.momentum, 0});
    }
  }
  for (bool trainable : {true, false}) {
    for (ParameterSlot& slot : slots_) {
      if (slot.trainable != trainable) continue;
      slot.offset = value_elements_;
      value_elements_ += aligned(slot.elements());
    }
    if (trainable) trainable_ = value_elements_;
  }
  own_.parts = {{0, trainable_}};
  for (bool moving : {true, false}) {
    for (StateSlot& slot : state_slots_) {
      if ((slot.momentum != 0) != moving) continue;
      slot.offset = state_elements_;
      state_elements_ += aligned(slot.elements());
    }
    if (moving) moving_state_ = state_elements_;
  }
  if (value_elements_ > INT32_MAX || reduced_elements() > INT32_MAX) {  // a slice of them is one Shape
    throw Error(ExitCode::kConfig, "the network has more than 2147483647 parameters");
  }
  const int64_t bytes_each = size_of(Dtype::kF32);
  // First what all ranks allocate together: a rank that fails before would leave the others waiting.
  gradients_ = Buffer(gradient_allocator, reduced_elements() * bytes_each);
  if (travels_as_bf16) bf16_gradients();
  values_ = Buffer(values_travel ? gradient_allocator : allocator, value_elements_ * bytes_each);
  state_ = Buffer(allocator, state_elements_ * bytes_each);
  loss_scale_ = Buffer(allocator, sizeof(LossScale));
  if (shadow != Dtype::kF32) shadow_ = Buffer(allocator, value_elements_ * size_of(shadow));
}

int Parameters::first_slot(const std::string& node_name) const {
  const auto found = std::ranges::find(first_slots_, node_name, [](const auto& entry) { return entry.first; });
  CHECK(found != first_slots_.end(), node_name);
  return found->second.first;
}

int Parameters::first_state_slot(const std::string& node_name) const {
  const auto found = std::ranges::find(first_slots_, node_name, [](const auto& entry) { return entry.first; });
  CHECK(found != first_slots_.end(), node_name);
  return found->second.second;
}

int64_t Parameters::parameter_count() const {
  int64_t count = 0;
  for (const ParameterSlot& slot : slots_) count += slot.elements();
  return count;
}

float* Parameters::accumulated() {
  if (accumulated_.data() == nullptr) {
    accumulated_ = Buffer(allocator_, std::max<int64_t>(trainable_, 1) * size_of(Dtype::kF32));
  }
  return accumulated_.as<float>();
}

float* Parameters::rounded_off() {
  if (rounded_off_.data() == nullptr) {
    rounded_off_ = Buffer(allocator_, std::max<int64_t>(trainable_, 1) * size_of(Dtype::kF32));
  }
  return rounded_off_.as<float>();
}

uint16_t* Parameters::bf16_gradients() {
  if (bf16_gradients_.data() == nullptr) {
    bf16_gradients_ = Buffer(gradient_allocator_, std::max<int64_t>(trainable_, 1) * size_of(Dtype::kBF16));
  }
  return bf16_gradients_.as<uint16_t>();
}

Tensor Parameters::gradient(const ParameterSlot& slot) const {
  return {slot.trainable ? gradients() + slot.offset : nullptr, {slot.shape}};
}

Tensor Parameters::shadow(const ParameterSlot& slot) const {
  if (shadow_.data() == nullptr) return {nullptr, {slot.shape, shadow_dtype_}};
  return {shadow_.as<std::byte>() + slot.offset * size_of(shadow_dtype_), {slot.shape, shadow_dtype_}};
}

void Parameters::initialize(uint64_t seed, float loss_scale, Device& device) {
  const Buffer values(device.host_allocator(), values_.bytes()), state(device.host_allocator(), state_.bytes());
  for (const ParameterSlot& slot : slots_) {
    const uint64_t key = random_key(RandomUse::kInitialize, seed ^ hash64(std::string_view(slot.name)));
    float* value = values.as<float>() + slot.offset;
    if (slot.initializer.kind == Initializer::Kind::kOrthogonal) {
      fill_orthogonal(slot, key, value);
    } else {
      constexpr int64_t kGrain = 1 << 14;
      parallel_for(slot.elements(), kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) value[i] = draw(slot.initializer, key, i);
      });
    }
  }
  for (const StateSlot& slot : state_slots_) {
    std::fill_n(state.as<float>() + slot.offset, slot.elements(), slot.initial);
  }
  const LossScale scale{loss_scale, 0};
  device.copy(values_.data(), values.data(), values.bytes(), device.compute());
  device.copy(state_.data(), state.data(), state.bytes(), device.compute());
  device.copy(loss_scale_.data(), &scale, sizeof scale, device.compute());
  device.compute().synchronize();
}

}  // namespace convoy
