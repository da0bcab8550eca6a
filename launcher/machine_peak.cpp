#include "launcher/machine_peak.h"

#include <chrono>
#include <limits>
#include <memory>

#include "core/graph/program.h"
#include "layers/linear.h"

namespace convoy {
namespace {

constexpr int kWidth = 2048;
constexpr int64_t kVector = int64_t{32} << 20;  // elements

// Seconds of one run, in the fastest of five rounds; a round on a device that runs ahead has ten.
template <class Run>
double fastest(Device& device, Run run) {
  const int runs = device.runs_ahead() ? 10 : 1;
  double best = std::numeric_limits<double>::infinity();
  for (int round = -1; round < 5; ++round) {  // -1: not counted
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < runs; ++i) run();
    device.compute().synchronize();
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    if (round >= 0) best = std::min(best, passed.count() / runs);
  }
  return best;
}

double product_flops(Backend& backend) {
  Device& device = *backend.device;
  Allocator& allocator = device.allocator();
  FlatOps& ops = *backend.ops;
  Stream& compute = device.compute();
  Graph graph;
  const ValueId x = graph.input("x", {kWidth, 1, 1, kWidth}, backend.precision);
  const ValueId y = graph.add("product", std::make_unique<Linear>(LinearOptions{.units = kWidth, .bias = false}), {x});
  graph.freeze(0);
  Parameters parameters(graph, allocator, allocator, shadow_dtype(backend));
  parameters.initialize(1, 1, device);
  const int64_t elements = int64_t{kWidth} * kWidth;
  if (parameters.shadow() != nullptr) {
    ops.convert(parameters.shadow(), parameters.shadow_dtype(), parameters.values(), Dtype::kF32, elements, compute);
  }
  const Tensor input{nullptr, graph.inputs().front().type};
  const Buffer rows(allocator, input.type.bytes());
  ops.convert(rows.data(), backend.precision, parameters.values(), Dtype::kF32, elements, compute);
  Program program(graph, parameters, *backend.kernels,
                  {.mode = Mode::kEval, .compute = backend.precision, .keep = {y}});
  const Buffer arena(allocator, program.memory().arena_bytes), scalars(allocator, sizeof(StepScalars));
  program.bind(arena.data(), parameters, {{"x", {rows.data(), input.type}}},
               static_cast<const StepScalars*>(scalars.data()), compute);
  const Plan plan = program.plan();
  return 2.0 * kWidth * static_cast<double>(elements) / fastest(device, [&] { plan.run(); });
}

}  // namespace

double measure_bandwidth(Backend& backend) {
  Device& device = *backend.device;
  const ValueType type{{1, 1, 1, static_cast<int>(kVector)}};
  const Buffer from(device.allocator(), type.bytes()), to(device.allocator(), type.bytes());
  backend.ops->clear(from.as<float>(), kVector, device.compute());  // memory that nobody wrote may be all one page
  const auto add = [&] { backend.ops->add(to.as<float>(), from.as<float>(), kVector, device.compute()); };
  return 3.0 * static_cast<double>(type.bytes()) / fastest(device, add);
}

MachinePeak measure_peak(Backend& backend) { return {product_flops(backend), measure_bandwidth(backend)}; }

}  // namespace convoy
