#include "layers/onednn_cpu.h"
#include "layers/products.h"

namespace convoy {
namespace {

using onednn::Desc;

Desc matrix(int rows, int columns, bool transposed) {
  using Tag = dnnl::memory::format_tag;
  return {{rows, columns}, dnnl::memory::data_type::f32, transposed ? Tag::ba : Tag::ab};
}

class ProductCpu : public MatrixProduct {
 public:
  explicit ProductCpu(const ProductSpec& spec)
      : desc_(onednn::available(Dtype::kF32,
                                [&] {
                                  return onednn::forward_desc<dnnl::matmul>(
                                      context_, onednn::attributes(), matrix(spec.rows, spec.inner, spec.transposes_a),
                                      matrix(spec.inner, spec.columns, spec.transposes_b),
                                      matrix(spec.rows, spec.columns, false));
                                })),
        product_(desc_) {}
  int64_t workspace_bytes() const override { return static_cast<int64_t>(desc_.scratchpad_desc().get_size()); }
  void run(const float* a, const float* b, float* c, void* workspace, Stream&) override {
    product_.execute(context_.stream, {{DNNL_ARG_SRC, memory(desc_.src_desc(), a)},
                                       {DNNL_ARG_WEIGHTS, memory(desc_.weights_desc(), b)},
                                       {DNNL_ARG_DST, memory(desc_.dst_desc(), c)},
                                       {DNNL_ARG_SCRATCHPAD, memory(desc_.scratchpad_desc(), workspace)}});
    context_.stream.wait();
  }

 private:
  dnnl::memory memory(const Desc& desc, const void* data) const {
    return {desc, context_.engine, const_cast<void*>(data)};
  }

  onednn::Context context_;
  dnnl::matmul::primitive_desc desc_;
  dnnl::matmul product_;
};

class CpuProducts : public MatrixProducts {
 public:
  std::unique_ptr<MatrixProduct> make(const ProductSpec& spec) const override {
    return std::make_unique<ProductCpu>(spec);
  }
};

}  // namespace

std::unique_ptr<MatrixProducts> make_cpu_products() { return std::make_unique<CpuProducts>(); }

}  // namespace convoy
