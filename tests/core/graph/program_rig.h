// Compiles a graph of fake layers, gives it memory, and runs it with every byte that a step must not rely on poisoned.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/graph/program.h"
#include "tests/core/graph/fake_layers.h"

namespace convoy::fake {

class ProgramRig {
 public:
  Graph graph;

  // A graph input of f32 with these elements; the rest are zero.
  ValueId input(const Shape& shape, const std::vector<float>& elements = {}) {
    const ValueId value = graph.input("image", shape, Dtype::kF32);
    image_ = Buffer(device_->allocator(), shape.elements() * size_of(Dtype::kF32));
    for (size_t i = 0; i < elements.size(); ++i) image_.as<float>()[i] = elements[i];
    return value;
  }
  ValueId add(const std::string& name, const std::string& type, std::vector<ValueId> inputs, float weight = 1) {
    return graph.add(name, make_layer(type, weight), std::move(inputs));
  }

  void compile(const ProgramOptions& options = {}) { compile(options, device_->allocator()); }
  void compile(const ProgramOptions& options, Allocator& gradient_allocator) {
    Allocator& allocator = device_->allocator();
    parameters_ = std::make_unique<Parameters>(graph, allocator, gradient_allocator);
    parameters_->initialize(1, 1, *device_);
    program_ = std::make_unique<Program>(graph, *parameters_, Kernels(), options);
    arena_ = Buffer(allocator, program_->memory().arena_bytes + 256);
    std::map<std::string, Tensor> inputs;
    for (const Graph::Input& it : graph.inputs()) inputs[it.name] = {image_.data(), it.type};
    program_->bind(arena_.data(), *parameters_, inputs, &scalars_, device_->compute());
  }

  // Runs all steps in an arena full of NaN; after the last step that needs a value, its memory is NaN again.
  // (All bits one is NaN in f32 and in bf16.)
  void run_poisoned() {
    const MemoryPlan& memory = program_->memory();
    const Plan plan = program_->plan();
    std::memset(arena_.data(), 0xff, static_cast<size_t>(arena_.bytes()));
    for (size_t time = 0; time < plan.steps().size(); ++time) {
      plan.steps()[time].run();
      if (time + 1 == plan.steps().size()) break;  // what is kept must be readable now
      for (size_t i = 0; i < memory.lifetimes.size(); ++i) {
        const Lifetime& value = memory.lifetimes[i];
        if (value.last != static_cast<int>(time)) continue;
        std::memset(arena_.as<std::byte>() + memory.offsets[i], 0xff, static_cast<size_t>(value.bytes));
      }
    }
  }

  std::vector<std::string> step_names() const {
    std::vector<std::string> names;
    const Plan plan = program_->plan();
    for (const Step& step : plan.steps()) names.push_back(step.name);
    return names;
  }
  const ParameterSlot& slot(const std::string& node) const {
    return parameters_->slots()[static_cast<size_t>(parameters_->first_slot(node))];
  }
  float gradient(const std::string& node) const { return *parameters_->gradient(slot(node)).as<float>(); }
  std::vector<float> kept(ValueId value) const { return read_all(program_->value(value)); }

  float* image() { return image_.as<float>(); }
  Program& program() { return *program_; }
  Parameters& parameters() { return *parameters_; }
  Device& device() { return *device_; }

 private:
  std::unique_ptr<Device> device_ = make_cpu_device(1);
  StepScalars scalars_;
  Buffer image_, arena_;
  std::unique_ptr<Parameters> parameters_;
  std::unique_ptr<Program> program_;
};

}  // namespace convoy::fake
