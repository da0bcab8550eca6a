#include <algorithm>
#include <map>
#include <utility>

#include "core/train/optimizer.h"

namespace convoy {
namespace {

// The quintic polynomial a x + b x³ + c x⁵, whose iteration takes singular values in (0, 1] to about 1.
constexpr float kA = 3.4445F, kB = -4.7750F, kC = 2.0315F;

// One filter X [rows, columns], and the products that its iteration X = a X + (b G + c G²) X takes, with the smaller of
// G = X Xᵀ and G = Xᵀ X; for the latter it is X (b G + c G²).
struct Filter {
  int rows = 0, columns = 0;
  MatrixProduct *gram = nullptr, *square = nullptr, *correction = nullptr;

  bool is_wide() const { return rows <= columns; }
  int side() const { return std::min(rows, columns); }  // of G
  int64_t elements() const { return int64_t{rows} * columns; }
};

class Muon : public Optimizer {
 public:
  Muon(FlatOps& ops, const MatrixProducts& products, Allocator& allocator, const Parameters& parameters,
       std::vector<UpdateRange> ranges, const MuonOptions& options)
      : Optimizer(ops, std::move(ranges)), options_(options) {
    if (options.sgd.momentum != 0) momentum_ = state_buffer(allocator, parameters);
    for (const UpdateRange& range : this->ranges()) {
      if (range.rows > 0) filters_.emplace(range.begin, filter_of(range, products));
    }
    plan_scratch(allocator);
  }
  std::vector<State> state() override {
    if (momentum_.data() == nullptr) return {};
    return {{"momentum", momentum_.as<float>()}};
  }
  int64_t scratch_bytes() const override {
    return direction_.bytes() + change_.bytes() + gram_.bytes() + square_.bytes() + workspace_.bytes();
  }

 protected:
  void update(const UpdateBuffers& buffers, const UpdateRange& range, const UpdateControl& control,
              Stream& stream) override {
    if (range.rows == 0) return ops_.sgd(buffers, at(momentum_, range), range, options_.sgd, control, stream);
    auto *x = direction_.as<float>(), *next = change_.as<float>();
    ops_.muon_direction(buffers, at(momentum_, range), x, range, options_, control, stream);
    const Filter& filter = filters_.at(range.begin);
    for (int i = 0; i < options_.iterations; ++i) {
      iterate(filter, x, next, stream);
      std::swap(x, next);
    }
    ops_.muon(buffers, x, range, options_, control, stream);
  }

 private:
  Filter filter_of(const UpdateRange& range, const MatrixProducts& products) {
    Filter filter{range.rows, static_cast<int>((range.end - range.begin) / range.rows)};
    const bool wide = filter.is_wide();
    const int side = filter.side(), other = std::max(filter.rows, filter.columns);
    const auto product = [&](const ProductSpec& spec) {
      std::unique_ptr<MatrixProduct>& made = products_[spec];
      if (!made) made = products.make(spec);
      return made.get();
    };
    filter.gram = product({side, other, side, !wide, wide});
    filter.square = product({side, side, side});
    filter.correction = product({filter.rows, side, filter.columns});
    return filter;
  }

  void plan_scratch(Allocator& allocator) {
    int64_t elements = 0, of_gram = 0, workspace = 0;
    for (const auto& [begin, filter] : filters_) {
      elements = std::max(elements, filter.elements());
      of_gram = std::max(of_gram, int64_t{filter.side()} * filter.side());
    }
    for (const auto& [spec, product] : products_) workspace = std::max(workspace, product->workspace_bytes());
    for (Buffer* buffer : {&direction_, &change_}) *buffer = Buffer(allocator, elements * size_of(Dtype::kF32));
    for (Buffer* buffer : {&gram_, &square_}) *buffer = Buffer(allocator, of_gram * size_of(Dtype::kF32));
    workspace_ = Buffer(allocator, workspace);
  }

  void iterate(const Filter& filter, const float* x, float* next, Stream& stream) {
    auto *gram = gram_.as<float>(), *square = square_.as<float>();
    void* const workspace = workspace_.data();
    filter.gram->run(x, x, gram, workspace, stream);
    filter.square->run(gram, gram, square, workspace, stream);
    ops_.combine(square, kB, gram, kC, int64_t{filter.side()} * filter.side(), stream);
    if (filter.is_wide()) {
      filter.correction->run(square, x, next, workspace, stream);
    } else {
      filter.correction->run(x, square, next, workspace, stream);
    }
    ops_.combine(next, kA, x, 1, filter.elements(), stream);
  }

  MuonOptions options_;
  Buffer momentum_;
  std::map<ProductSpec, std::unique_ptr<MatrixProduct>> products_;
  std::map<int64_t, Filter> filters_;  // by where they begin
  // Scratch, of the largest filter.
  Buffer direction_, change_, gram_, square_, workspace_;
};

}  // namespace

std::unique_ptr<Optimizer> make_muon(FlatOps& ops, const MatrixProducts& products, Allocator& allocator,
                                     const Parameters& parameters, std::vector<UpdateRange> ranges,
                                     const MuonOptions& options) {
  return std::make_unique<Muon>(ops, products, allocator, parameters, std::move(ranges), options);
}

}  // namespace convoy
