// The order of the elements of weights behind flatten, against networks that are followed element by element in both
// orders of axes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "launcher/exchange/weights.h"
#include "launcher/inference.h"
#include "tests/core/base/testing.h"
#include "tests/launcher/exchange/onnx_model.h"

namespace convoy {
namespace {

// A value, as the names of its elements: in our order, h,w,c, and in PyTorch's, c,h,w.  Elements that are computed
// alike have the same name.
struct Named {
  std::string layer;
  int h = 1, w = 1, c = 1;
  std::vector<std::string> ours = {}, theirs = {};
};

template <class T>
std::vector<T> channels_first(const std::vector<T>& ours, int pixels, int channels) {
  std::vector<T> theirs;
  for (int c = 0; c < channels; ++c) {
    for (int pixel = 0; pixel < pixels; ++pixel) {
      const int from = pixel * channels + c;
      theirs.push_back(ours[static_cast<size_t>(from)]);
    }
  }
  return theirs;
}

Named fresh(const std::string& layer, int h, int w, int c) {
  Named value{.layer = layer, .h = h, .w = w, .c = c};
  for (int i = 0; i < h * w * c; ++i) value.ours.push_back(layer + std::to_string(i));
  value.theirs = channels_first(value.ours, h * w, c);
  return value;
}

// A network at random: convolutions of an image, flattened, joined, added and so on.
class RandomNetwork {
 public:
  explicit RandomNetwork(unsigned seed) : random_(seed) {
    values_.push_back(fresh("image", 4, 3, 2));
    for (int i = 0; i < 14; ++i) add_layer();
    end();
  }

  std::string yaml() const { return "classes: 2\nlayers:\n" + yaml_; }
  Shape sample() const { return {1, 4, 3, 2}; }
  // What the columns of a matrix, or the elements of a vector, are multiplied by.
  const std::map<std::string, Named>& inputs() const { return inputs_; }

 private:
  int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }
  // Any value of which `fits` is true; null: there is none.
  template <class Fits>
  const Named* any(const Fits& fits) {
    std::vector<const Named*> all;
    for (const Named& value : values_) {
      if (fits(value)) all.push_back(&value);
    }
    return all.empty() ? nullptr : all[static_cast<size_t>(below(static_cast<int>(all.size())))];
  }
  static bool is_vector(const Named& value) { return value.h == 1 && value.w == 1; }

  void write(const std::string& type, const std::vector<const Named*>& inputs, const std::string& parameters = "") {
    yaml_ += "  - " + type + ": {name: " + name() + (inputs.size() == 1 ? ", input: " : ", inputs: [");
    for (const Named* input : inputs) {
      yaml_ += (input == inputs.front() ? "" : ", ") + input->layer;
      read_.insert(input->layer);
    }
    yaml_ += (inputs.size() == 1 ? "" : "]") + parameters + "}\n";
  }
  std::string name() const { return "l" + std::to_string(values_.size()); }

  void add_layer() {
    switch (below(9)) {
      case 0: return conv2d();
      case 1:
      case 2: return flatten(any([](const Named& value) { return !is_vector(value); }));
      case 3: return concat({any(is_vector), any(is_vector)});
      case 4: return add(any(is_vector));
      case 7: return add_another_shape();
      case 5: return same("relu", any([](const Named&) { return true; }));
      case 6: return same("batch_norm", any([](const Named&) { return true; }));
      default: return linear(any(is_vector));
    }
  }

  void conv2d() {
    const Named* x = any([](const Named&) { return true; });
    const int filters = 1 + below(3), h = x->h > 1 ? 2 : 1;
    write("conv2d", {x}, ", filters: " + std::to_string(filters) + ", kernel: [" + std::to_string(h) + ", 1]");
    if (is_vector(*x)) inputs_[name() + ".weight"] = *x;
    values_.push_back(fresh(name(), x->h - h + 1, x->w, filters));
  }

  void flatten(const Named* x) {
    write("flatten", {x});
    values_.push_back({name(), 1, 1, x->h * x->w * x->c, x->ours, x->theirs});
  }

  void concat(const std::vector<const Named*>& parts) {
    if (parts.front() == nullptr || (parts[0] == parts[1] && parts.size() == 2)) return;
    write("concat", parts);
    Named joined{.layer = name(), .c = 0};
    for (const Named* part : parts) {
      const std::string prefix = std::to_string(joined.c) + " ";
      joined.c += part->c;
      for (const std::string& it : part->ours) joined.ours.push_back(prefix + it);
      for (const std::string& it : part->theirs) joined.theirs.push_back(prefix + it);
    }
    values_.push_back(joined);
  }

  void add(const Named* x) {
    const Named* y = any([&](const Named& value) { return x != nullptr && is_vector(value) && value.c == x->c; });
    if (x != nullptr && x != y) add(x, y);
  }

  void add(const Named* x, const Named* y) {
    write("add", {x, y});
    Named sum{.layer = name(), .c = x->c};
    for (size_t i = 0; i < x->ours.size(); ++i) {
      sum.ours.push_back("(" + x->ours[i] + " + " + y->ours[i] + ")");
      sum.theirs.push_back("(" + x->theirs[i] + " + " + y->theirs[i] + ")");
    }
    values_.push_back(sum);
  }

  // 4x3x2 and 2x3x4, flattened.
  void add_another_shape() {
    const Named* image = &values_.front();
    flatten(image);
    const Named* one = &values_.back();
    write("conv2d", {image}, ", filters: 4, kernel: [3, 1]");
    values_.push_back(fresh(name(), 2, 3, 4));
    flatten(&values_.back());
    add(one, &values_.back());
  }

  void same(const std::string& type, const Named* x) {
    write(type, {x});
    if (type == "batch_norm" && is_vector(*x)) {
      inputs_[name() + ".weight"] = inputs_[name() + ".running_mean"] = *x;
    }
    Named y = *x;
    y.layer = name();
    for (std::string& it : y.ours) it = name() + it;
    for (std::string& it : y.theirs) it = name() + it;
    values_.push_back(y);
  }

  void linear(const Named* x) {
    if (x == nullptr) return;
    write("linear", {x}, ", units: 2");
    inputs_[name() + ".weight"] = *x;
    values_.push_back(fresh(name(), 1, 1, 2));
  }

  // Whatever nobody reads goes into one matrix.
  void end() {
    for (size_t i = 0; i < values_.size(); ++i) {
      if (!read_.contains(values_[i].layer) && !is_vector(values_[i])) flatten(&values_[i]);
    }
    std::vector<const Named*> ends;
    for (const Named& value : values_) {
      if (!read_.contains(value.layer)) ends.push_back(&value);
    }
    if (ends.size() > 1) concat(ends);
    linear(&values_.back());
  }

  std::mt19937 random_;
  std::deque<Named> values_;    // references stay
  std::set<std::string> read_;  // by a layer
  std::string yaml_;
  std::map<std::string, Named> inputs_;
};

Graph graph_of(const RandomNetwork& network) {
  ModelConfig config = parse_model(network.yaml(), "random.yaml");
  return build_model(config, {}, network.sample(), {.training = false, .normalize = false, .rewrite = false}).graph;
}

// By element: where in PyTorch's input the one of ours is; nothing where that has other elements.
std::optional<std::vector<size_t>> positions(const Named& input) {
  std::vector<size_t> at;
  for (const std::string& element : input.ours) {
    const auto found = std::ranges::find(input.theirs, element);
    if (found == input.theirs.end()) return {};
    at.push_back(static_cast<size_t>(found - input.theirs.begin()));
  }
  return at;
}

TEST(WeightOrder, FollowsEveryElementThroughRandomNetworks) {
  int turned = 0, refused = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    const RandomNetwork network(seed);
    const Graph graph = graph_of(network);
    for (const WeightPlace& place : weight_places(graph)) {
      const auto input = network.inputs().find(place.name);
      if (input == network.inputs().end()) continue;
      SCOPED_TRACE("seed " + std::to_string(seed) + ", " + place.name + "\n" + network.yaml());
      std::vector<float> theirs(static_cast<size_t>(place.shape.elements()));
      for (size_t i = 0; i < theirs.size(); ++i) theirs[i] = static_cast<float>(i);
      const std::optional<std::vector<size_t>> at = positions(input->second);
      if (!at) {
        ++refused;
        expect_error(ExitCode::kConfig, {"random.yaml:", "'" + place.name + "'"},
                     [&] { from_order(WeightOrder::kPytorch, place, theirs); });
        expect_error(ExitCode::kConfig, {"random.yaml:", "'" + place.name + "'"},
                     [&] { to_order(WeightOrder::kPytorch, place, theirs); });
        continue;
      }
      turned += !std::ranges::is_sorted(*at);
      const size_t columns = at->size(), rows = theirs.size() / columns;
      std::vector<float> ours(theirs.size());
      for (size_t row = 0; row < rows; ++row) {
        for (size_t i = 0; i < columns; ++i) ours[row * columns + i] = theirs[row * columns + (*at)[i]];
      }
      ASSERT_EQ(from_order(WeightOrder::kPytorch, place, theirs), ours);
      ASSERT_EQ(to_order(WeightOrder::kPytorch, place, ours), theirs);
      // Keras flattens as we do: nothing is refused there, and only matrices are transposed.
      ASSERT_EQ(from_order(WeightOrder::kKeras, place, to_order(WeightOrder::kKeras, place, ours)), ours);
    }
  }
  EXPECT_GT(turned, 200);
  EXPECT_GT(refused, 20);
}

// ---- ONNX files, computed as ONNX defines its operators

struct Array {
  std::vector<int64_t> dims;
  std::vector<float> values;
};

class OnnxMachine {
 public:
  explicit OnnxMachine(const OnnxModel& model) : model_(model) {
    for (const OnnxTensor& it : model.initializers) arrays_[it.name] = {it.dims, it.values};
  }

  std::vector<float> run(std::vector<float> image, const Shape& sample) {
    arrays_[model_.inputs.front().name] = {{1, sample.c, sample.h, sample.w}, std::move(image)};
    for (const OnnxNode& node : model_.nodes) arrays_[node.outputs.front()] = output(node);
    return arrays_.at(model_.outputs.front().name).values;
  }

 private:
  const Array& input(const OnnxNode& node, size_t i) const { return arrays_.at(node.inputs.at(i)); }

  Array output(const OnnxNode& node) const {
    Array x = input(node, 0);
    if (node.op_type == "Conv") return conv(node);
    if (node.op_type == "Gemm") return gemm(node);
    if (node.op_type == "Transpose") return channels_last(x);
    if (node.op_type == "BatchNormalization") return batch_norm(node);
    if (node.op_type == "Identity") return x;
    const int64_t elements = std::ssize(x.values);
    if (node.op_type == "Flatten") return {{1, elements}, x.values};
    if (node.op_type == "Reshape") return {{1, elements, 1, 1}, x.values};
    if (node.op_type == "Relu") {
      for (float& value : x.values) value = std::max(value, 0.0F);
      return x;
    }
    if (node.op_type == "Add") {
      for (size_t i = 0; i < x.values.size(); ++i) x.values[i] += input(node, 1).values[i];
      return x;
    }
    if (node.op_type != "Concat") throw std::runtime_error(node.op_type);
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const Array& more = input(node, i);
      x.values.insert(x.values.end(), more.values.begin(), more.values.end());
      x.dims[1] += more.dims[1];
    }
    return x;
  }

  Array conv(const OnnxNode& node) const {
    const Array &x = input(node, 0), &w = input(node, 1), &b = input(node, 2);
    const int64_t O = w.dims[0], I = w.dims[1], H = x.dims[2] - w.dims[2] + 1, W = x.dims[3];
    Array y{{1, O, H, W}, {}};
    for (int64_t o = 0; o < O; ++o) {
      for (int64_t at = 0; at < H * W; ++at) {
        float sum = b.values[static_cast<size_t>(o)];
        for (int64_t i = 0; i < I; ++i) {
          for (int64_t k = 0; k < w.dims[2]; ++k) {
            sum += w.values[static_cast<size_t>((o * I + i) * w.dims[2] + k)] *
                   x.values[static_cast<size_t>(i * x.dims[2] * W + k * W + at)];
          }
        }
        y.values.push_back(sum);
      }
    }
    return y;
  }

  Array gemm(const OnnxNode& node) const {
    const Array &x = input(node, 0), &w = input(node, 1);
    Array y{{1, w.dims[0]}, input(node, 2).values};
    for (size_t o = 0; o < y.values.size(); ++o) {
      for (size_t i = 0; i < x.values.size(); ++i) y.values[o] += w.values[o * x.values.size() + i] * x.values[i];
    }
    return y;
  }

  static Array channels_last(const Array& x) {
    const auto channels = static_cast<size_t>(x.dims[1]), pixels = x.values.size() / channels;
    Array y{{1, x.dims[2], x.dims[3], x.dims[1]}, {}};
    for (size_t pixel = 0; pixel < pixels; ++pixel) {
      for (size_t c = 0; c < channels; ++c) y.values.push_back(x.values[c * pixels + pixel]);
    }
    return y;
  }

  Array batch_norm(const OnnxNode& node) const {
    Array y = input(node, 0);
    const auto of = [&](size_t i, size_t c) { return input(node, i).values[c]; };
    const size_t pixels = y.values.size() / static_cast<size_t>(y.dims[1]);
    for (size_t i = 0; i < y.values.size(); ++i) {
      const size_t c = i / pixels;
      y.values[i] = of(1, c) * (y.values[i] - of(3, c)) / std::sqrt(of(4, c) + 1e-5F) + of(2, c);
    }
    return y;
  }

  const OnnxModel& model_;
  std::map<std::string, Array> arrays_;
};

TEST(WeightOrder, OfOnnxFilesIsThatOfTheirOperators) {
  Experiment experiment;
  experiment.device = DeviceChoice::kCpu;
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  Backend backend = make_backend(experiment, *host, 1);
  for (unsigned seed = 0; seed < 150; ++seed) {
    const RandomNetwork random(seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + random.yaml());
    Network network = counting_network(random.yaml(), random.sample());
    std::mt19937 numbers(seed);
    std::uniform_real_distribution<float> between(0.1F, 1);
    for (auto& [name, values] : network.weights) {
      for (float& value : values) value = between(numbers);
    }
    std::vector<float> image(24);
    for (float& value : image) value = between(numbers);
    Inference inference(network, backend, {.rows = 1, .pixels = false, .fold = false});
    const std::span<const float> expected = inference.run(std::span<const float>(image));
    const OnnxModel file = to_onnx(network, {});
    const std::vector<float> found = OnnxMachine(file).run(channels_first(image, 12, 2), random.sample());
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 1e-4 * std::abs(expected[i]));
  }
}

}  // namespace
}  // namespace convoy
