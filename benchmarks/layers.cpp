// Times every step of the benchmark rows of the case table on the CPU: the same rows, kernels and memory as in
// tests/layers.
//
//   convoy_bench_layers [--threads N] [--dtype f32|bf16] [--only TEXT] [--json]
//
// A step is run for at least 0.2 s; the median counts, and where the fastest run is far from it the machine was busy.
// GB/s: x, y, dy, dx, w and dw that the step reads or writes, once.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>

#include "core/base/simd.h"
#include "core/base/threads.h"
#include "layers/registry.h"
#include "tests/cases/kernel_rig.h"

namespace convoy {
namespace {

struct Options {
  int threads = processors_of_rank(processor_mask(), {processor_mask()}, processor_limit());
  std::vector<Dtype> dtypes{Dtype::kF32, Dtype::kBF16};
  std::string only;
  bool json = false;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--json") {
      options.json = true;
      continue;
    }
    if (++i == argc) throw Error(ExitCode::kUsage, option + ": expected a value");
    const std::string value = argv[i];
    if (option == "--threads") {
      options.threads = std::stoi(value);
    } else if (option == "--dtype" && (value == "f32" || value == "bf16")) {
      options.dtypes = {value == "f32" ? Dtype::kF32 : Dtype::kBF16};
    } else if (option == "--only") {
      options.only = value;
    } else {
      throw Error(ExitCode::kUsage, "expected --threads N, --dtype f32|bf16, --only TEXT or --json, found " + option);
    }
  }
  return options;
}

struct Timing {
  double median, fastest;  // seconds
};

// Over as many runs as fit into 0.2 s, at least 5, after one that is not counted.
Timing time(const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  run();
  std::vector<double> seconds;
  for (const auto begin = Clock::now(); seconds.size() < 5 || Clock::now() - begin < std::chrono::milliseconds(200);) {
    const auto start = Clock::now();
    run();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::ranges::sort(seconds);
  return {seconds[seconds.size() / 2], seconds.front()};
}

struct Row {
  std::string name, step, engine;
  Dtype dtype;
  int threads;
  Timing timing;
  int64_t flops, bytes;
};

void print_table_row(const Row& row) {
  const double gigaflops = static_cast<double>(row.flops) / row.timing.median * 1e-9;
  const double gigabytes = static_cast<double>(row.bytes) / row.timing.median * 1e-9;
  std::printf("| %s | %s | %s | %d | %.3f | %.3f | %s | %.1f | %s |\n", row.name.c_str(), to_string(row.dtype),
              row.step.c_str(), row.threads, row.timing.median * 1e3, row.timing.fastest * 1e3,
              row.flops == 0 ? "–" : std::to_string(static_cast<int>(gigaflops)).c_str(), gigabytes,
              row.engine.c_str());
}

void print_json_row(const Row& row) {
  std::printf(
      R"({"case": "%s", "dtype": "%s", "step": "%s", "threads": %d, "seconds": %.9f, "fastest": %.9f, "flops": %lld, )"
      R"("bytes": %lld, "engine": "%s"})"
      "\n",
      row.name.c_str(), to_string(row.dtype), row.step.c_str(), row.threads, row.timing.median, row.timing.fastest,
      static_cast<long long>(row.flops), static_cast<long long>(row.bytes), row.engine.c_str());
}

int64_t total_bytes(const std::vector<ValueType>& types) {
  int64_t sum = 0;
  for (const ValueType& type : types) sum += type.bytes();
  return sum;
}

int64_t parameter_bytes(const LayerCase& it) {
  int64_t sum = 0;
  for (const Shape& shape : parameter_shapes(it)) sum += ValueType{shape}.bytes();
  return sum;
}

// What a part reads (dy, and x and y where it says so, w for dx) and writes.
int64_t backward_bytes(const LayerCase& it, const Kernel& kernel, const BackwardPart& part) {
  const std::vector<ValueType> x = kernel.inputs();
  int64_t sum = it.layer()->is_loss() ? 0 : kernel.output().bytes();
  if (kernel.backward_reads_output()) sum += kernel.output().bytes();
  for (size_t i = 0; i < x.size(); ++i) sum += kernel.backward_reads_input(static_cast<int>(i)) ? x[i].bytes() : 0;
  for (int i : part.dx) sum += x[static_cast<size_t>(i)].bytes();
  return sum + parameter_bytes(it) * ((part.dw ? 1 : 0) + (part.dx.empty() ? 0 : 1));
}

template <class Print>
void run_case(const LayerCase& it, Dtype dtype, int threads, const KernelFactory& kernels, Device& device,
              Print print) {
  // In the layout that the kernel prefers: in a network, its neighbours mostly use the same.
  const Layout blocked{simd_level() == SimdLevel::kAvx512 ? 16 : 8};
  KernelRig rig(it, kernels, device, dtype, blocked);
  rig.load(draw_inputs(it, dtype, 1));
  const Kernel& kernel = rig.kernel();
  const int64_t flops = it.layer()->forward_flops(it.inputs);
  Row row{it.name,         "forward",
          kernel.engine(), dtype,
          threads,         time([&] { rig.forward(); }),
          flops,           total_bytes(kernel.inputs()) + kernel.output().bytes() + parameter_bytes(it)};
  print(row);
  const std::vector<BackwardPart> parts = kernel.backward_parts();
  for (size_t i = 0; i < parts.size(); ++i) {
    row.step = parts[i].name;
    row.timing = time([&] { rig.backward(static_cast<int>(i)); });
    row.flops = flops * (static_cast<int64_t>(parts[i].dx.size()) + (parts[i].dw ? 1 : 0));
    row.bytes = backward_bytes(it, kernel, parts[i]);
    print(row);
  }
}

void run_all(const Options& options) {
  const std::unique_ptr<Device> device = make_cpu_device(options.threads);
  const std::unique_ptr<KernelFactory> kernels = make_cpu_kernels();
  if (!options.json) {
    std::printf("%s\n\n| case | dtype | step | threads | ms | fastest | GFLOP/s | GB/s | engine |\n",
                device->name().c_str());
    std::printf("|---|---|---|---|---|---|---|---|---|\n");
  }
  for (const LayerCase& it : layer_cases()) {
    if (!it.benchmark || it.name.find(options.only) == std::string::npos) continue;
    for (Dtype dtype : options.dtypes) {
      run_case(it, dtype, options.threads, *kernels, *device, options.json ? print_json_row : print_table_row);
    }
  }
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) try {
  convoy::run_all(convoy::parse(argc, argv));
  return 0;
} catch (const convoy::Error& error) {
  std::cerr << error.what() << "\n";
  return static_cast<int>(error.code());
}
