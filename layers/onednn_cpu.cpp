#include "layers/onednn_cpu.h"

namespace convoy::onednn {
namespace {

using Tag = dnnl::memory::format_tag;

Tag tag_of(Layout layout) {
  switch (layout.channel_block) {
    case 0: return Tag::nhwc;
    case 8: return Tag::nChw8c;
    case 16: return Tag::nChw16c;
    default: break;
  }
  CHECK(false, "a layout that oneDNN has no name for");
  return Tag::undef;
}

Dims weight_dims(const Shape& shape, int groups) {
  if (groups == 1) return {shape.n, shape.c, shape.h, shape.w};
  return {groups, shape.n / groups, shape.c, shape.h, shape.w};
}

}  // namespace

dnnl::memory::data_type data_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32: return dnnl::memory::data_type::f32;
    case Dtype::kBF16: return dnnl::memory::data_type::bf16;
    case Dtype::kF16: return dnnl::memory::data_type::f16;
    case Dtype::kU8: return dnnl::memory::data_type::u8;
    case Dtype::kI32: return dnnl::memory::data_type::s32;
  }
  return dnnl::memory::data_type::undef;
}

Desc activation(const Shape& shape, Dtype dtype, Tag tag) {
  return {{shape.n, shape.c, shape.h, shape.w}, data_type(dtype), tag};
}

Desc activation(const ValueType& type) { return activation(type.shape, type.dtype, tag_of(type.layout)); }

Desc weights(const Shape& shape, int groups, Dtype dtype) {
  const int64_t w = shape.c, h = w * shape.w, o = h * shape.h;
  Dims strides{o, 1, h, w};
  if (groups > 1) strides.insert(strides.begin(), o * (shape.n / groups));
  return {weight_dims(shape, groups), data_type(dtype), strides};
}

Desc weights_any(const Shape& shape, int groups, Dtype dtype) {
  return {weight_dims(shape, groups), data_type(dtype), Tag::any};
}

Desc dense_weights(const Shape& shape) { return {weight_dims(shape, 1), data_type(Dtype::kF32), Tag::oihw}; }

Desc vector(int64_t length) { return {{length}, dnnl::memory::data_type::f32, Tag::a}; }

std::optional<Layout> layout_of(const Desc& desc, const ValueType& canonical) {
  for (int block : {0, 16, 8}) {
    ValueType type = canonical;
    type.layout = {block};
    if (desc == activation(type)) return type.layout;
  }
  // With one channel, or one pixel, N,C,H,W and N,H,W,C are the same bytes.
  const Shape& shape = canonical.shape;
  const bool same_bytes = shape.c == 1 || (shape.h == 1 && shape.w == 1);
  if (same_bytes && desc == activation(shape, canonical.dtype, Tag::nchw)) return Layout{};
  return std::nullopt;
}

dnnl::primitive_attr attributes(const dnnl::post_ops& ops) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attr.set_post_ops(ops);
  return attr;
}

void append_relu(dnnl::post_ops& ops) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
#else
  ops.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
#endif
}

Staging::Staging(const Context& context, const Desc& from, const Desc& to) : from_(from), to_(to) {
  if (from == to) return;
  bytes_ = static_cast<int64_t>(to.get_size());
  reorder_.emplace(context.engine, from, context.engine, to);
}

void Staging::bind(const Context& context, void* source, void* copy) {
  source_ = dnnl::memory(from_, context.engine, source);
  if (!copies()) return;
  target_ = dnnl::memory(to_, context.engine, copy);
  call_ = Call(dnnl::reorder(*reorder_), {{DNNL_ARG_FROM, source_}, {DNNL_ARG_TO, target_}});
}

void Staging::bind_constant(Context& context, void* source) {
  if (copies()) {
    allocator_ = make_host_allocator();
    own_ = Buffer(*allocator_, bytes_);
  }
  bind(context, source, own_.data());
  run(context);
}

}  // namespace convoy::onednn
