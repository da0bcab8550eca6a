#include <cstring>

#include "core/device/types.h"
#include "tests/cuda_on_cpu/nccl_clique.h"

namespace convoy::cuda_on_cpu {
namespace {

using Calls = std::vector<const NcclCall*>;

Dtype dtype_of(ncclDataType_t type) {
  switch (type) {
    case ncclUint8: return Dtype::kU8;
    case ncclInt32: return Dtype::kI32;
    case ncclFloat16: return Dtype::kF16;
    case ncclFloat32: return Dtype::kF32;
    case ncclBfloat16: return Dtype::kBF16;
  }
  return Dtype::kU8;
}
size_t bytes_of(const NcclCall& call) { return call.count * static_cast<size_t>(size_of(dtype_of(call.type))); }

struct F16 {
  uint16_t bits;
  explicit operator float() const { return f16_to_f32(bits); }
  static F16 from(float value) { return {f32_to_f16(value)}; }
};
struct BF16 {
  uint16_t bits;
  explicit operator float() const { return bf16_to_f32(bits); }
  static BF16 from(float value) { return {f32_to_bf16(value)}; }
};

// Adds in the order of the ranks, from 0, in Sum, and rounds once; as NCCL's kernels do, but for the order.
template <class Element, class Sum>
std::vector<std::byte> sum_of(const Calls& calls, size_t elements) {
  std::vector<Sum> sum(elements);
  for (const NcclCall* call : calls) {
    const auto* from = static_cast<const Element*>(call->from);
    for (size_t i = 0; i < elements; ++i) sum[i] += static_cast<Sum>(from[i]);
  }
  std::vector<std::byte> bytes(elements * sizeof(Element));
  auto* to = reinterpret_cast<Element*>(bytes.data());
  for (size_t i = 0; i < elements; ++i) {
    if constexpr (std::is_same_v<Element, Sum>) {
      to[i] = sum[i];
    } else {
      to[i] = Element::from(sum[i]);
    }
  }
  return bytes;
}

std::vector<std::byte> sum_of(const Calls& calls, size_t elements) {
  switch (calls[0]->type) {
    case ncclUint8: return sum_of<uint8_t, uint8_t>(calls, elements);
    case ncclInt32: return sum_of<uint32_t, uint32_t>(calls, elements);
    case ncclFloat16: return sum_of<F16, float>(calls, elements);
    case ncclFloat32: return sum_of<float, float>(calls, elements);
    case ncclBfloat16: return sum_of<BF16, float>(calls, elements);
  }
  return {};
}

std::vector<std::byte> gathered(const Calls& calls) {
  std::vector<std::byte> bytes;
  for (const NcclCall* call : calls) {
    const auto* from = static_cast<const std::byte*>(call->from);
    bytes.insert(bytes.end(), from, from + bytes_of(*call));
  }
  return bytes;
}

}  // namespace

std::string to_string(const NcclCall& call) {
  const char* const names[] = {"all_reduce", "reduce_scatter", "all_gather", "reduce", "broadcast"};
  const bool rooted = call.kind == NcclCall::Kind::kReduce || call.kind == NcclCall::Kind::kBroadcast;
  return std::string(names[static_cast<int>(call.kind)]) + " of " + std::to_string(call.count) + " " +
         to_string(dtype_of(call.type)) + (rooted ? ", root " + std::to_string(call.root) : "") + call.place;
}

void run_collective(const Calls& calls) {
  const NcclCall& any = *calls[0];
  const NcclCall& root = *calls[static_cast<size_t>(any.root)];
  switch (any.kind) {
    case NcclCall::Kind::kAllReduce: {
      const std::vector<std::byte> sum = sum_of(calls, any.count);
      for (const NcclCall* it : calls) std::memcpy(it->to, sum.data(), sum.size());
      break;
    }
    case NcclCall::Kind::kReduceScatter: {
      const std::vector<std::byte> sum = sum_of(calls, any.count * calls.size());
      for (size_t r = 0; r < calls.size(); ++r) {
        std::memcpy(calls[r]->to, sum.data() + r * bytes_of(any), bytes_of(any));
      }
      break;
    }
    case NcclCall::Kind::kAllGather: {
      const std::vector<std::byte> all = gathered(calls);
      for (const NcclCall* it : calls) std::memcpy(it->to, all.data(), all.size());
      break;
    }
    case NcclCall::Kind::kReduce: {
      const std::vector<std::byte> sum = sum_of(calls, any.count);
      std::memcpy(root.to, sum.data(), sum.size());
      break;
    }
    case NcclCall::Kind::kBroadcast: {
      for (const NcclCall* it : calls) std::memmove(it->to, root.from, bytes_of(any));
      break;
    }
  }
}

}  // namespace convoy::cuda_on_cpu
