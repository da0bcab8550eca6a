// What each name of an initialiser draws: the moments are those of PyTorch and Keras, tests/oracles/initializers.py.
#include <algorithm>
#include <cmath>

#include "core/graph/parameters.h"
#include "launcher/model_builder.h"
#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

constexpr int kFilters = 192, kChannels = 48, kArea = 15;

class InitializersTest : public ConfigTest {
 protected:
  // Weight and bias of a convolution of 3x5.
  static std::array<std::vector<float>, 2> drawn(const std::string& initializer, uint64_t seed = 1) {
    const std::string layer =
        "    - conv2d: {filters: 192, kernel: [3, 5], padding: same, initializer: " + initializer +
        "}\n    - flatten\n    - linear: {units: classes}\n";
    const Experiment experiment =
        load(replaced(kMinimal, "    - flatten\n    - linear: {units: classes}\n", layer), {"data.shape=[6,6,48]"});
    const Model model =
        build_model(experiment.model, experiment.data, {1, 6, 6, kChannels}, {.rows = 1, .rewrite = false});
    const std::unique_ptr<Device> device = make_cpu_device(1);
    Parameters parameters(model.graph, device->allocator(), device->allocator());
    parameters.initialize(seed, 1, *device);
    std::array<std::vector<float>, 2> out;
    for (size_t i = 0; i < out.size(); ++i) {
      const ParameterSlot& slot = parameters.slots()[i];
      const float* values = parameters.values() + slot.offset;
      out[i].assign(values, values + slot.elements());
    }
    return out;
  }

  struct Moments {
    double mean = 0, deviation = 0, fourth = 0, most = 0;
  };
  static Moments moments(const std::vector<float>& values) {
    Moments m;
    double squares = 0, fourths = 0;
    for (const double x : values) {
      m.mean += x;
      squares += x * x;
      fourths += x * x * x * x;
      m.most = std::max(m.most, std::abs(x));
    }
    const auto n = static_cast<double>(values.size());
    m.mean /= n;
    m.deviation = std::sqrt(squares / n);
    m.fourth = fourths / n / std::pow(m.deviation, 4);
    m.most /= m.deviation;
    return m;
  }
};

struct Drawn {
  const char* name;
  double deviation, fourth;
};

constexpr Drawn kDrawn[] = {
    {"pytorch", 0.02152, 1.800},
    {"kaiming_normal", 0.02634, 3.005},
    {"kaiming_normal_fan_out", 0.02634, 3.005},
    {"kaiming_normal_fan_in", 0.05269, 3.005},
    {"kaiming_uniform", 0.05273, 1.799},
    {"kaiming_uniform_fan_in", 0.05273, 1.799},
    {"kaiming_uniform_fan_out", 0.02636, 1.799},
    {"xavier_normal", 0.02356, 3.005},
    {"xavier_uniform", 0.02358, 1.799},
    {"glorot_normal", 0.02358, 2.363},
    {"glorot_uniform", 0.02357, 1.800},
    {"he_normal", 0.05273, 2.363},
    {"he_uniform", 0.05270, 1.800},
    {"lecun_normal", 0.03729, 2.363},
    {"lecun_uniform", 0.03726, 1.800},
    {"{normal: 0.02}", 0.01999, 3.005},
    {"{truncated_normal: 0.02}", 0.01760, 2.363},
    {"{uniform: 0.3}", 0.17317, 1.800},
    {"truncated_normal", 0.04400, 2.363},
    {"uniform", 0.02886, 1.800},
};

TEST_F(InitializersTest, DrawAsPytorchAndKerasDo) {
  for (const Drawn& it : kDrawn) {
    SCOPED_TRACE(it.name);
    const auto [weight, bias] = drawn(it.name);
    ASSERT_EQ(weight.size(), size_t{kFilters} * kChannels * kArea);  // 138,240
    const Moments found = moments(weight);
    EXPECT_NEAR(found.mean / it.deviation, 0, 0.01);
    EXPECT_NEAR(found.deviation / it.deviation, 1, 0.006);  // three times what chance makes of a normal
    EXPECT_NEAR(found.fourth, it.fourth, 0.05);
    if (it.fourth < 2) {
      EXPECT_NEAR(found.most, std::sqrt(3.0), 0.01);  // uniform
    } else if (it.fourth < 2.5) {
      EXPECT_LE(found.most, 2 / 0.8796 * 1.006);  // cut
      EXPECT_GT(found.most, 2 / 0.8796 * 0.99);
    } else {
      EXPECT_GT(found.most, 4);  // normal
    }
    const bool pytorch = it.name == std::string("pytorch");
    EXPECT_EQ(std::ranges::count(bias, 0.0F), pytorch ? 0 : kFilters);
  }
}

TEST_F(InitializersTest, DrawsDependOnTheSeedAlone) {
  for (const char* name : {"he_normal", "orthogonal"}) {
    EXPECT_EQ(drawn(name), drawn(name)) << name;
    EXPECT_NE(drawn(name), drawn(name, 2)) << name;
  }
}

TEST_F(InitializersTest, ConstantsAreConstant) {
  for (const auto& [name, value] :
       {std::pair("zeros", 0.0F), std::pair("ones", 1.0F), std::pair("{constant: -0.25}", -0.25F)}) {
    const auto [weight, bias] = drawn(name);
    EXPECT_EQ(std::ranges::count(weight, value), std::ssize(weight)) << name;
    EXPECT_EQ(std::ranges::count(bias, 0.0F), std::ssize(bias)) << name;
  }
}

// 192 filters of 720 numbers.
TEST_F(InitializersTest, OrthogonalFiltersAreOrthogonal) {
  for (const double gain : {1.0, 0.5}) {
    const std::vector<float> w = drawn("{orthogonal: " + std::to_string(gain) + "}")[0];
    const size_t length = size_t{kChannels} * kArea;
    double worst = 0;
    for (size_t i = 0; i < kFilters; ++i) {
      for (size_t j = 0; j <= i; ++j) {
        double product = 0;
        for (size_t k = 0; k < length; ++k) product += double{w[i * length + k]} * double{w[j * length + k]};
        worst = std::max(worst, std::abs(product - (i == j ? gain * gain : 0)));
      }
    }
    EXPECT_LT(worst, 1e-6);
    EXPECT_NEAR(moments(w).fourth, 3, 0.05);  // in no direction more than in others
  }
}

TEST_F(InitializersTest, WrongOnesAreRefused) {
  const auto error = [](const std::string& initializer) -> std::string {
    try {
      drawn(initializer);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      return error.what();
    }
    return "";
  };
  const auto ends = [&](const std::string& initializer, const std::string& end) {
    const std::string found = error(initializer);
    EXPECT_TRUE(found.starts_with("x.yaml:4:") && found.ends_with(end)) << found;
  };
  ends("{normal: 0}", "conv2d.initializer: expected normal: a number > 0");
  ends("{normal: x}", "conv2d.initializer.normal: expected a number, found 'x'");
  ends("{norml: 1}", "conv2d.initializer.norml: unknown key, did you mean 'normal'?");
  ends("{normal: 1, constant: 2}", "conv2d.initializer: expected a name or one {name: number}, found a map");
  ends("{he_normal: 1}", "conv2d.initializer.he_normal: unknown key, did you mean 'normal'?");
  EXPECT_NE(error("xavier").find("conv2d.initializer: expected normal, "), std::string::npos);
}

}  // namespace
}  // namespace convoy
