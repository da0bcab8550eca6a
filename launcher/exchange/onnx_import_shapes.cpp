// Operators that move elements or talk about shapes; few of them become layers.
#include <algorithm>

#include "core/base/error.h"
#include "launcher/exchange/onnx_importer.h"

namespace convoy {
namespace {

using Integers = std::vector<int64_t>;

// Axes of `rank`, counted from the end where negative, in order.
Integers normal_axes(Integers axes, int64_t rank) {
  for (int64_t& axis : axes) axis += axis < 0 ? rank : 0;
  std::ranges::sort(axes);
  return axes;
}

}  // namespace

void OnnxImporter::same(OnnxOperator& op) {
  op.number_or("ratio", 0);  // of Dropout, which does nothing in evaluation
  op.integer_or("seed", 0);
  const int64_t to = op.integer_or("to", 1);  // of Cast
  op.integer_or("saturate", 1);
  op.text_or("round_mode", "");
  Value it = input(op, 0);
  if (it.form != Form::kConstant && to != 1 && to != 10 && to != 11 && to != 16)
    op.refuse("attribute to: expected a floating point type, found " + std::to_string(to));
  give(op, std::move(it));
}

void OnnxImporter::constant_node(OnnxOperator& op) {
  OnnxTensor tensor;
  if (const OnnxTensor* found = op.tensor("value")) {
    tensor = *found;
  } else if (op.has("value_float")) {
    tensor.values = {static_cast<float>(op.number_or("value_float", 0))};
  } else if (op.has("value_int") || op.has("value_ints")) {
    tensor.type = OnnxType::kInt64;
    tensor.integers = op.integers_or("value_ints", {});
    if (op.has("value_int")) tensor.integers = {op.integer_or("value_int", 0)};
    if (op.has("value_ints")) tensor.dims = {std::ssize(tensor.integers)};
  }
  give(op, made_constant(op, std::move(tensor)));
}

// A constant that no initializer holds.
OnnxImporter::Value OnnxImporter::made_constant(const OnnxOperator& op, OnnxTensor tensor) {
  count_copied(op, tensor);
  made_.push_back(std::move(tensor));
  Value it;
  it.form = Form::kConstant;
  it.tensor = &made_.back();
  it.tensor_name = op.node().outputs.front();
  if (const auto readers = readers_.find(it.tensor_name); readers != readers_.end())
    uses_[it.tensor] = static_cast<int>(readers->second.size());
  return it;
}

// ---- Order of axes

void OnnxImporter::transpose(OnnxOperator& op) {
  const Integers perm = op.integers_or("perm", {});
  Value it = input(op, 0);
  if (it.form == Form::kConstant) {
    if (it.tensor == nullptr || it.tensor->dims.size() != 2 || !(perm.empty() || perm == Integers{1, 0}))
      op.refuse("of a constant: expected two dimensions");
    OnnxTensor made;
    made.dims = {it.tensor->dims[1], it.tensor->dims[0]};
    made.values = take_transposed(op, it);
    it.tensor = made_constant(op, std::move(made)).tensor;
  } else if (it.form == Form::kImage && perm == Integers{0, 2, 3, 1}) {
    it.form = Form::kLast;
  } else if (it.form == Form::kLast && perm == Integers{0, 3, 1, 2}) {
    it.form = Form::kImage;
  } else if (!std::ranges::is_sorted(perm) || perm.empty()) {
    op.refuse("expected N,C,H,W to N,H,W,C or back, found another order of axes");
  }
  give(op, std::move(it));
}

// Of shapes, and of the factors of Resize.
void OnnxImporter::concat_constants(OnnxOperator& op, const std::vector<Value>& all) {
  Value joined;
  joined.form = Form::kConstant;
  std::vector<float> numbers;
  for (size_t i = 0; i < all.size(); ++i) {
    const Integers part = constant_integers(op, i);
    joined.integers.insert(joined.integers.end(), part.begin(), part.end());
    if (all[i].tensor != nullptr)
      numbers.insert(numbers.end(), all[i].tensor->values.begin(), all[i].tensor->values.end());
    if (joined.integers.size() + numbers.size() > 8) op.refuse("of constants: expected at most 8 dimensions");
  }
  if (numbers.empty()) {
    give(op, std::move(joined));
    return;
  }
  if (!joined.integers.empty()) op.refuse("of constants of different types");
  const int64_t count = std::ssize(numbers);
  give(op, made_constant(op, onnx_floats("", {count}, std::move(numbers))));
}

void OnnxImporter::concat(OnnxOperator& op) {
  int64_t axis = op.integer_or("axis", 1);
  std::vector<Value> all;
  for (size_t i = 0; i < op.node().inputs.size(); ++i) all.push_back(input(op, i));
  if (all.empty()) op.bad("expected inputs, found none");
  const Form form = all.front().form;
  if (!std::ranges::all_of(all, [&](const Value& it) { return it.form == form; }))
    op.refuse("expected inputs of one kind, found flattened ones, constants and images");
  if (form == Form::kConstant) {
    concat_constants(op, all);
    return;
  }
  const int64_t rank = form == Form::kFlat ? 2 : 4, channels = form == Form::kLast ? 3 : 1;
  axis += axis < 0 ? rank : 0;
  if (axis != channels) op.refuse("expected channels one behind the other, found axis " + std::to_string(axis));
  Value joined = all.front();
  joined.unordered = std::ranges::any_of(all, &Value::unordered);
  joined.last_order = std::ranges::any_of(all, &Value::last_order);
  if (joined.unordered && joined.last_order) op.refuse("of images that were flattened in different orders of axes");
  if (all.size() > 1) joined.layer = layer_of_several("concat", layer_name(op), all).layer;
  joined.one_pixel = std::ranges::all_of(all, &Value::one_pixel);
  give(op, std::move(joined));
}

// ---- To [N,C] and back

OnnxImporter::Value OnnxImporter::flattened(const OnnxOperator& op, const Value& x) {
  if (x.form == Form::kFlat) return x;
  Value flat = layer("flatten", layer_name(op), x);
  flat.form = Form::kFlat;
  flat.unordered = !x.one_pixel && x.form == Form::kImage;
  flat.last_order = !x.one_pixel && x.form == Form::kLast;
  flat.one_pixel = true;
  return flat;
}

void OnnxImporter::flatten(OnnxOperator& op) {
  const int64_t axis = op.integer_or("axis", 1);
  const Value x = data(op, 0);
  const int64_t rank = x.form == Form::kFlat ? 2 : 4;
  if (axis != 1 && axis != 1 - rank) op.refuse("attribute axis: expected 1, found " + std::to_string(axis));
  give(op, flattened(op, x));
}

void OnnxImporter::reshape(OnnxOperator& op) {
  const bool zero_is_zero = op.integer_or("allowzero", 0) != 0;
  const Value x = input(op, 0);
  const Integers target = constant_integers(op, 1);
  if (x.form == Form::kConstant) {
    if (x.tensor == nullptr && target == Integers{-1}) {
      give(op, x);  // a list of dimensions stays one
      return;
    }
    op.refuse("of a constant");
  }
  const auto is_batch = [&](int64_t dim) {
    return dim == kBatch || (dim == 0 && !zero_is_zero) || (dim > 0 && dim == batch_);
  };
  if (target.size() == 2 && (is_batch(target[0]) || (target[0] == -1 && target[1] > 0))) {
    give(op, flattened(op, x));
  } else if (target.size() == 4 && x.form == Form::kFlat && !x.unordered && !x.last_order && target[2] == 1 &&
             target[3] == 1) {
    Value it = x;
    it.form = Form::kImage;
    it.one_pixel = true;
    give(op, std::move(it));
  } else if (target.size() != 3 || x.form != Form::kImage || !is_batch(target[0]) ||
             !group_norm_of_reshape(op, target)) {
    op.refuse("expected an image to be flattened to N rows, found another change of shape");
  }
}

// [N,C,H,W] → [N,G,-1] → InstanceNormalization → [N,C,H,W] → Mul → Add, as PyTorch exports group_norm.
bool OnnxImporter::group_norm_of_reshape(OnnxOperator& op, const Integers& target) {
  const Value x = data(op, 0);
  const OnnxNode* norm = only_reader(op.node(), "InstanceNormalization");
  const OnnxNode* back = norm == nullptr ? nullptr : only_reader(*norm, "Reshape");
  const OnnxNode* scale = back == nullptr ? nullptr : only_reader(*back, "Mul");
  const OnnxNode* shift = scale == nullptr ? nullptr : only_reader(*scale, "Add");
  if (shift == nullptr || target[1] < 1) return false;
  const auto all_equal = [&](size_t i, float wanted) {
    const std::string_view name = i < norm->inputs.size() ? norm->inputs[i] : std::string_view();
    const auto found = values_.find(name);
    return found != values_.end() && found->second.tensor != nullptr &&
           std::ranges::all_of(found->second.tensor->values, [&](float value) { return value == wanted; });
  };
  if (!all_equal(1, 1) || !all_equal(2, 0)) return false;
  const auto factors = [&](const OnnxNode& node) -> const Value* {
    for (const std::string& input : node.inputs) {
      const auto found = values_.find(input);
      if (found != values_.end() && found->second.form == Form::kConstant && found->second.tensor != nullptr)
        return &found->second;
    }
    return nullptr;
  };
  const Value *w = factors(*scale), *b = factors(*shift);
  if (w == nullptr || b == nullptr) return false;
  OnnxOperator norm_op(*norm, path_);
  const double epsilon = norm_op.number_or("epsilon", 1e-5);
  const std::string name = layer_name(op, w->tensor_name);
  const int64_t channels = std::ssize(w->tensor->values);
  weight(op, name + ".weight", scale->inputs[is_constant(scale->inputs[0]) ? 0 : 1], {channels});
  weight(op, name + ".bias", shift->inputs[is_constant(shift->inputs[0]) ? 0 : 1], {channels});
  give(op, *shift, layer("group_norm", name, x, Fields().integer("groups", target[1]).number("epsilon", epsilon)));
  done_.insert({norm, back, scale, shift});
  return true;
}

void OnnxImporter::squeeze(OnnxOperator& op) {
  Integers axes = op.integers_or("axes", {});
  Value it = input(op, 0);
  if (!op.input(1).empty()) axes = constant_integers(op, 1);
  if (it.form == Form::kConstant) {  // of a dimension
    give(op, std::move(it));
    return;
  }
  const Integers pixels = it.form == Form::kLast ? Integers{1, 2} : Integers{2, 3};
  if (it.form == Form::kFlat || normal_axes(axes, 4) != pixels) op.refuse("expected the axes H and W");
  it.form = Form::kFlat;
  it.one_pixel = true;
  give(op, std::move(it));
}

void OnnxImporter::unsqueeze(OnnxOperator& op) {
  Integers axes = op.integers_or("axes", {});
  Value it = input(op, 0);
  if (!op.input(1).empty()) axes = constant_integers(op, 1);
  if (it.form == Form::kConstant && it.tensor != nullptr) {
    OnnxTensor made = *it.tensor;
    const int64_t rank = std::ssize(made.dims) + std::ssize(axes);
    for (const int64_t axis : normal_axes(axes, rank)) {
      if (axis < 0 || axis > std::ssize(made.dims) || rank > 8) op.bad("its axes are out of range");
      made.dims.insert(made.dims.begin() + axis, 1);
    }
    it.tensor = made_constant(op, std::move(made)).tensor;
  } else if (it.form != Form::kConstant) {
    if (it.form != Form::kFlat || it.unordered || it.last_order || normal_axes(axes, 4) != Integers{2, 3})
      op.refuse("expected N,C to become N,C,1,1");
    it.form = Form::kImage;
    it.one_pixel = true;
  }
  give(op, std::move(it));
}

// ---- Shapes that are computed: torch's view(x.size(0), -1)

void OnnxImporter::shape_of(OnnxOperator& op) {
  op.require_integer("start", 0, 0);
  Value shape;
  shape.form = Form::kConstant;
  shape.integers = {kBatch, kUnknown};
  if (data(op, 0).form != Form::kFlat) shape.integers.resize(4, kUnknown);
  give(op, std::move(shape));
}

void OnnxImporter::gather(OnnxOperator& op) {
  op.require_integer("axis", 0, 0);
  const Integers from = constant_integers(op, 0), at = constant_integers(op, 1);
  Value one;
  one.form = Form::kConstant;
  for (const int64_t index : at) {
    if (index < 0 || index >= std::ssize(from) || at.size() > 8) op.refuse("expected one dimension of a shape");
    one.integers.push_back(from[static_cast<size_t>(index)]);
  }
  give(op, std::move(one));
}

}  // namespace convoy
