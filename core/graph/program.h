// A graph compiled for one device, one batch shape and one mode: kernels, the steps they make, and the memory plan.
//
// Order: compile every layer → insert conversions where a reader wants another layout or dtype → derive the backward
// steps → lifetimes → place → bind final addresses → hand out plans.  Programs of one run (train, eval) share one
// arena: each is made first, the arena is as large as the largest needs, then each is bound.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/graph/graph.h"
#include "core/graph/memory_plan.h"
#include "core/graph/parameters.h"
#include "core/graph/plan.h"
#include "core/graph/recompute.h"

namespace convoy {

struct ProgramOptions {
  Mode mode = Mode::kTrain;
  Dtype compute = Dtype::kF32;       // dtype of activations and their gradients
  std::vector<ValueId> keep = {};    // values that must still be there when the plan ends (predictions)
  bool constant_parameters = false;  // see CompileRequest
  // kTrain: what these nodes keep for backward is thrown away after forward, and computed once more before their
  // backward: the same kernels on the same bytes, so the same bits.  In order, apart; without losses.
  std::vector<NodeRange> recompute = {};
  int ranks = 1;  // see CompileRequest
};

class Program {
 public:
  // The graph is not needed afterwards.  `parameters` gives names and offsets; its memory is used from bind() on.
  Program(const Graph& graph, const Parameters& parameters, const KernelFactory& kernels,
          const ProgramOptions& options);

  const MemoryPlan& memory() const { return memory_; }

  // Fixes all addresses.  `arena` has at least memory().arena_bytes, aligned to 256; `inputs` by graph input name.
  // All of it must outlive the plans.  Call once.
  void bind(void* arena, Parameters& parameters, const std::map<std::string, Tensor>& inputs,
            const StepScalars* scalars, Stream& compute);

  // Forward steps, then in kTrain the backward steps.  After bind(), the plan can run; before, it can only be printed.
  // The program must outlive it.
  Plan plan() const;
  // Where a value listed in `keep` is; after bind().
  Tensor value(ValueId value) const;

 private:
  // A typed view of a storage.  Several slots may share one storage (flatten).
  struct Slot {
    ValueType type;
    int storage = -1;
    bool needs_gradient = false;
  };
  struct Storage {
    Lifetime lifetime;
    std::string input;   // name of the graph input that lies here, outside the arena
    int reads_left = 0;  // of all values that lie here, by nodes that are not compiled yet and by `keep`
  };
  struct Compiled {
    std::string name;
    std::unique_ptr<Kernel> kernel;
    std::vector<int> x;  // slots
    int y = -1;
    int dy = -1;
    std::vector<int> dx;                  // slots, -1 where there is none
    std::array<int, 2> gathered{-1, -1};  // slots
    std::vector<int> saved;               // storages
    std::vector<int> parameters, state;   // slots of Parameters
    std::vector<int> unused_state;        // by state, when recomputed: storages for statistics that were counted before
    bool wants_dw = false, loss = false, again = false;
    int64_t flops = 0;
  };
  static constexpr int kForward = -1, kStatistics = -2;
  struct PendingStep {
    int compiled;
    int part;                        // of the backward pass, kForward or kStatistics
    std::vector<int> reads, writes;  // slots
  };

  void compile(const Graph& graph, const KernelFactory& kernels, const ProgramOptions& options);
  void compile_node(const Graph& graph, const Graph::Node& node, const KernelFactory& kernels,
                    const ProgramOptions& options);
  void recompute(const Graph& graph, NodeRange range, const KernelFactory& kernels, const ProgramOptions& options);
  void recompile_node(const Graph& graph, const Graph::Node& node, bool output_stays, const KernelFactory& kernels,
                      const ProgramOptions& options);
  std::vector<bool> last_reader(const std::vector<int>& x) const;
  int converted(int slot, const ValueType& to, const KernelFactory& kernels, const std::string& reader);
  int conversion(int slot, const ValueType& to, const KernelFactory& kernels, const std::string& reader);
  void append_forward(int compiled);
  void append_backward(const Graph& graph, const KernelFactory& kernels, const ProgramOptions& options);
  void append_backward(int begin, int end, const KernelFactory& kernels);
  void append_backward_of(int compiled, int dy);
  int gradient_of(int slot, const KernelFactory& kernels, const std::string& name);
  void find_lifetimes();
  int new_storage(int64_t bytes);
  int new_slot(const ValueType& type, int storage, bool needs_gradient);
  void touch(int storage, int time);
  Tensor tensor(int slot) const;
  Step make_step(const PendingStep& pending) const;

  const Slot& slot(int index) const { return slots_[static_cast<size_t>(index)]; }
  Storage& storage_of(int index) { return storages_[static_cast<size_t>(slot(index).storage)]; }
  const Storage& storage_of(int index) const { return storages_[static_cast<size_t>(slot(index).storage)]; }
  Compiled& compiled(int index) { return compiled_[static_cast<size_t>(index)]; }
  const Compiled& compiled(int index) const { return compiled_[static_cast<size_t>(index)]; }

  const Parameters* parameters_;
  std::vector<Slot> slots_;
  std::vector<Storage> storages_;
  std::vector<Compiled> compiled_;
  std::vector<PendingStep> steps_;
  std::vector<int> first_compiled_;                         // by node
  std::vector<int> value_slots_;                            // by ValueId: where its next reader finds it
  std::map<int, int> kept_;                                 // ValueId → slot, of `keep`
  std::vector<int> reads_;                                  // by ValueId: how often nodes and `keep` do
  std::map<std::pair<int, std::string>, int> conversions_;  // (slot, type) → converted slot
  std::map<int, std::vector<int>> contributions_;           // slot → slots of gradients that readers wrote
  int workspace_storage_ = -1;
  MemoryPlan memory_;
  std::byte* arena_ = nullptr;
  std::map<std::string, Tensor> inputs_;
  Stream* stream_ = nullptr;
};

}  // namespace convoy
