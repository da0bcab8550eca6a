// The door to oneDNN: descriptors of our types, and the differences between its versions 2 and 3.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include <oneapi/dnnl/dnnl.hpp>

#include "core/graph/layer.h"

namespace convoy::onednn {

using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;
using Arguments = std::unordered_map<int, dnnl::memory>;

struct Context {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
};

// ---- Descriptors.  oneDNN names dimensions in the order N,C,H,W and O,I,H,W whatever lies in memory.
dnnl::memory::data_type data_type(Dtype dtype);
Desc activation(const ValueType& type);
Desc activation(const Shape& shape, Dtype dtype, dnnl::memory::format_tag tag);
// Canonical O,H,W,I weights; with groups > 1 as G,O/G,I,H,W.
Desc weights(const Shape& shape, int groups, Dtype dtype);
Desc weights_any(const Shape& shape, int groups, Dtype dtype);
Desc dense_weights(const Shape& shape);  // f32 as O,I,H,W
Desc vector(int64_t length);             // f32
// Our name of a layout that oneDNN chose; nothing when we have none.
std::optional<Layout> layout_of(const Desc& desc, const ValueType& canonical);

// ---- Primitives.  Version 3 merged operation descriptors into primitive descriptors.
template <class Primitive, class... Args>
typename Primitive::primitive_desc forward_desc(const Context& context, const dnnl::primitive_attr& attr,
                                                const Args&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return {context.engine, args..., attr};
#else
  return {typename Primitive::desc(args...), attr, context.engine};
#endif
}

template <class Primitive, class Hint, class... Args>
typename Primitive::primitive_desc backward_desc(const Context& context, const dnnl::primitive_attr& attr,
                                                 const Hint& forward, const Args&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return {context.engine, args..., forward, attr};
#else
  return {typename Primitive::desc(args...), attr, context.engine, forward};
#endif
}

// Scratchpads are planned memory, not allocations of oneDNN.
dnnl::primitive_attr attributes(const dnnl::post_ops& ops = {});
void append_relu(dnnl::post_ops& ops);

// Turns oneDNN's "unimplemented" into an Error that says what to do.
template <class Make>
auto available(Dtype dtype, Make make) {
  try {
    return make();
  } catch (const dnnl::error& error) {
    throw Error(ExitCode::kUnavailable,
                dtype == Dtype::kBF16 ? "oneDNN cannot run this in bf16 on this processor (it needs AVX-512); use f32"
                                      : std::string("oneDNN cannot run this on this processor: ") + error.what());
  }
}

// A primitive with its arguments, ready to run.
class Call {
 public:
  Call() = default;
  Call(const dnnl::primitive& primitive, Arguments arguments)
      : primitive_(primitive), arguments_(std::move(arguments)) {}
  void run(Context& context) const {
    primitive_.execute(context.stream, arguments_);
    context.stream.wait();
  }

 private:
  dnnl::primitive primitive_;
  Arguments arguments_;
};

// A tensor in our layout, and the copy in the layout that a primitive wants; nothing is copied where they are the same.
class Staging {
 public:
  Staging(const Context& context, const Desc& from, const Desc& to);
  bool copies() const { return reorder_.has_value(); }
  int64_t bytes() const { return copies() ? bytes_ : 0; }  // of the copy
  // Requires: bytes() bytes at `copy` (unused without a copy).
  void bind(const Context& context, void* source, void* copy);
  // For a source that never changes: copies it at once, into memory of its own; there is no need to run().
  void bind_constant(Context& context, void* source);
  dnnl::memory source() const { return source_; }
  dnnl::memory target() const { return copies() ? target_ : source_; }
  void run(Context& context) const {
    if (copies()) call_.run(context);
  }

 private:
  Desc from_, to_;
  int64_t bytes_ = 0;
  std::optional<dnnl::reorder::primitive_desc> reorder_;
  dnnl::memory source_, target_;
  Call call_;
  std::unique_ptr<Allocator> allocator_;  // of own_
  Buffer own_;
};

// Parts of a workspace, each aligned to 64 bytes.
class WorkspaceParts {
 public:
  int64_t add(int64_t bytes) {
    const int64_t offset = bytes_;
    bytes_ += (bytes + 63) / 64 * 64;
    return offset;
  }
  int64_t bytes() const { return bytes_; }

 private:
  int64_t bytes_ = 0;
};

inline void* at(void* base, int64_t offset) { return static_cast<std::byte*>(base) + offset; }

}  // namespace convoy::onednn
