// An inference network answers what the network answers layer by layer, whatever it was made into.
#include "launcher/inference.h"

#include <gtest/gtest.h>

#include "tests/launcher/networks.h"

namespace convoy {
namespace {

constexpr Shape kSample{1, 11, 11, 3};

// Everything that inference rewrites: folding, residual sums with and without relu and with a convolution in the
// shortcut, linear layers behind a flatten.
constexpr const char* kNetwork = R"(
classes: 7
layers:
  - conv2d: {filters: 32, kernel: 3, padding: 1, bias: false}
  - batch_norm
  - relu
  - residual:
      layers:
        - conv2d: {filters: 32, kernel: 3, padding: 1, bias: false}
        - batch_norm
        - relu
        - conv2d: {filters: 32, kernel: 3, padding: 1, bias: false}
        - batch_norm
  - relu
  - residual:
      layers:
        - conv2d: {filters: 33, kernel: 3, stride: 2, padding: 1, bias: false}
        - batch_norm
      shortcut:
        - conv2d: {filters: 33, kernel: 1, stride: 2, bias: false}
        - batch_norm
  - max_pool: {kernel: 2}
  - dropout: {rate: 0.5}
  - flatten
  - linear: {units: 20}
  - relu
  - linear: {units: 7}
)";

Backend cpu(Communicator& host, int threads = 1) {
  Experiment experiment;
  experiment.device = DeviceChoice::kCpu;
  return make_backend(experiment, host, threads);
}

std::vector<float> copied(std::span<const float> logits) { return {logits.begin(), logits.end()}; }

std::vector<uint8_t> pixels(int64_t images) {
  std::vector<uint8_t> values(static_cast<size_t>(images * kSample.elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint8_t>(i * i % 251);
  return values;
}

TEST(Inference, AnswersAsLayerByLayer) {
  const Network network = network_of(kNetwork, kSample);
  const std::vector<float> images = numbers(4 * kSample.elements(), 5);
  const std::vector<float> wanted = plain_logits(network, images);
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  for (const int threads : {1, 2}) {
    Backend backend = cpu(*host, threads);
    for (const int rows : {1, 2, 4, 5}) {
      Inference inference(network, backend, {.rows = rows, .pixels = false});
      std::vector<float> found;
      const auto each = static_cast<size_t>(kSample.elements());
      for (size_t at = 0; at < 4; at += static_cast<size_t>(rows)) {
        const size_t count = std::min<size_t>(static_cast<size_t>(rows), 4 - at);
        const std::span<const float> logits = inference.run(std::span(images).subspan(at * each, count * each));
        EXPECT_EQ(logits.size(), count * 7);
        found.insert(found.end(), logits.begin(), logits.end());
      }
      EXPECT_LE(worst_error(found, wanted), 1e-5) << rows << " rows, " << threads << " threads";
    }
  }
}

TEST(Inference, HasNoBatchNormNoSumAndNoRelu) {
  const Network network = network_of(kNetwork, kSample);
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  Backend backend = cpu(*host);
  const Inference inference(network, backend, {.rows = 2, .pixels = false});
  for (const Step& step : inference.plan().steps()) {
    for (const char* gone : {"batch_norm", "residual", "add", "relu"}) {
      EXPECT_EQ(step.name.find(gone), std::string::npos) << step.name;
    }
  }
  const Inference unfolded(network, backend, {.rows = 2, .pixels = false, .fold = false});
  EXPECT_GT(unfolded.plan().steps().size(), inference.plan().steps().size());
}

TEST(Inference, TakesWeightsAsTheyAreWhenItIsMade) {
  Network network = network_of(kNetwork, kSample);
  const std::vector<float> images = numbers(kSample.elements(), 5);
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  Backend backend = cpu(*host);
  Inference first(network, backend, {.pixels = false});
  const std::vector<float> before = copied(first.run(std::span(images)));
  for (float& weight : network.weights.at("linear_2.bias")) weight += 1;
  Inference second(network, backend, {.pixels = false});
  const std::vector<float> after = copied(second.run(std::span(images)));
  for (size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(after[i], before[i] + 1, 1e-5);
  EXPECT_EQ(copied(first.run(std::span(images))), before);
}

// What an image becomes is checked by hand here: (x / 255 - mean) / std, blue first where the network wants it.
TEST(Inference, PixelsAreNormalised) {
  Network network = network_of(kNetwork, kSample);
  const std::vector<uint8_t> images = pixels(3);
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  Backend backend = cpu(*host);
  for (const bool bgr : {false, true}) {
    network.preprocessing = Preprocessing{.bgr = bgr, .mean = {0.1, 0.4, 0.5}, .std = {0.2, 0.3, 0.9}};
    std::vector<float> ready;
    for (size_t i = 0; i < images.size(); ++i) {
      const size_t c = i % 3, from = bgr ? i - c + 2 - c : i;
      ready.push_back(
          static_cast<float>((images[from] / 255.0 - network.preprocessing->mean[c]) / network.preprocessing->std[c]));
    }
    Inference inference(network, backend, {.rows = 3});
    EXPECT_LE(worst_error(copied(inference.run(std::span(images))), plain_logits(network, ready)), 1e-5);
  }
}

TEST(Inference, PixelsNeedAPreprocessing) {
  const Network network = network_of(kNetwork, kSample);
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  Backend backend = cpu(*host);
  try {
    Inference inference(network, backend, {});
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
  }
}

// A row's answer does not depend on what else is in the batch.
TEST(Inference, RowsDoNotSeeEachOther) {
  Network network = network_of(kNetwork, kSample);
  network.preprocessing = Preprocessing{};
  const std::vector<uint8_t> images = pixels(4);
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  Backend backend = cpu(*host);
  Inference inference(network, backend, {.rows = 4});
  const std::vector<float> all = copied(inference.run(std::span(images)));
  const auto each = static_cast<size_t>(kSample.elements());
  for (size_t i = 0; i < 4; ++i) {
    const std::vector<float> one = copied(inference.run(std::span(images).subspan(i * each, each)));
    const std::vector<float> wanted(all.begin() + static_cast<std::ptrdiff_t>(7 * i),
                                    all.begin() + static_cast<std::ptrdiff_t>(7 * i + 7));
    EXPECT_EQ(one, wanted);
  }
}

TEST(Inference, KeepsNoGradients) {
  const Network network = network_of(kNetwork, kSample);
  int64_t weights = 0;
  for (const auto& [name, values] : network.weights) weights += static_cast<int64_t>(values.size()) * 4;
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  Backend backend = cpu(*host);
  const Inference inference(network, backend, {.pixels = false});
  EXPECT_LT(inference.bytes(), weights + (1 << 18));
}

TEST(Softmax, OfAnyLogits) {
  std::vector<double> found;
  softmax(std::vector<float>{0, 0}, found);
  EXPECT_EQ(found, (std::vector<double>{0.5, 0.5}));
  softmax(std::vector<float>{3e38F, -3e38F, 3e38F}, found);
  EXPECT_EQ(found, (std::vector<double>{0.5, 0, 0.5}));
  softmax(std::vector<float>{1, 2, 3}, found);
  EXPECT_NEAR(found[2], 0.66524095577, 1e-10);
}

}  // namespace
}  // namespace convoy
