#!/usr/bin/env python3
"""Predicts published training runs of ResNet-50 with `convoy bench predict`, and says how far off that is.

    benchmarks/predict_published.py [--convoy=build/release/convoy]         prints two tables
    benchmarks/predict_published.py --fit                                   prints the constants of launcher/predict/profiles.cpp

Two constants of a GPU generation, the efficiency of its arithmetic and the overhead of a step, are fitted, on two runs each:
those marked "fitted".  All others are held out.  Published are MLPerf Training results (mlcommons/training_results_v*, the
throughput that the logs say, without evaluation unless noted) and Lambda's (lambdal/deeplearning-benchmark).
"""
import argparse
import json
import os
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# As NVIDIA's submissions do: gradients in 16 bits, in one sum after backward.
MLPERF = ["distributed.overlap=false", "distributed.gradients=bf16"]
# As PyTorch's DistributedDataParallel: f32, buckets of 25 MiB while backward runs.
DDP = ["distributed.overlap=true", "distributed.gradients=f32"]

# device, ranks, images a rank, published images/s, source, flags, whether fitted, note
RUNS = [
    ("h100-sxm", 8, 400, 57_291, "v4.0 NVIDIA eos", [], True, ""),
    ("h100-sxm", 64, 50, 314_118, "v4.0 NVIDIA eos_n8", [], True, ""),
    ("h100-sxm", 8, 400, 56_070, "v3.0 NVIDIA dgxh100", [], False, "the fitted point, a year earlier"),
    ("h100-sxm", 16, 200, 16 * 200 / 0.0318, "v4.0 Dell, HPE, 2 nodes", [], False, ""),
    ("h100-sxm", 512, 40, 2.248e6, "v3.0 NVIDIA n64", [], False, ""),
    ("h100-sxm", 768, 42, 3.417e6, "v3.0 NVIDIA n96", [], False, ""),
    ("h100-sxm", 2528, 16, 6.888e6, "v4.0 NVIDIA eos_n316", [], False, ""),
    ("h100-sxm", 3584, 16, 10.10e6, "v3.0 CoreWeave n448", [], False, ""),
    ("h100-sxm", 8, 400, 52_438, "v2.1 NVIDIA preview", [], False, "preview software: 9 % below the fitted point"),
    ("h100-sxm", 32, 100, 169_018, "v2.1 NVIDIA preview", [], False, "preview software"),
    ("h200-sxm", 8, 400, 63_601, "v4.0 NVIDIA h200", [], False, "another memory"),
    ("h100-pcie", 8, 400, 36_205, "v4.0 ASUS", [], False, "another clock, memory and bus"),
    ("a100-sxm", 8, 408, 27_190, "v2.0 NVIDIA dgxa100", [], True, ""),
    ("a100-sxm", 64, 51, 167_700, "v2.0 NVIDIA dgxa100_n8", [], True, ""),
    ("a100-sxm", 1024, 35, 2.37e6, "v2.0 NVIDIA dgxa100_n128", [], False, ""),
    ("a100-sxm", 4216, 16, 5.76e6, "v2.0 NVIDIA dgxa100_n527", [], False, "published with evaluation"),
    ("a100-sxm-40gb", 4, 204, 4 * 204 / 0.0673, "v2.0 Dell, 1 node", ["--link=nvlink3+hdr", "--node=4"], False, "another memory"),
    ("a100-sxm-40gb", 8, 204, 8 * 204 / 0.0721, "v2.0 Dell, 2 nodes", ["--link=nvlink3+hdr", "--node=4"], False, "another memory"),
    ("a100-sxm-40gb", 16, 204, 16 * 204 / 0.0726, "v2.0 Dell, 4 nodes", ["--link=nvlink3+hdr", "--node=4"], False, "another memory"),
    ("a100-sxm-40gb", 64, 204, 64 * 204 / 0.0746, "v2.0 Dell, 16 nodes", ["--link=nvlink3+hdr", "--node=4"], False, "another memory"),
    ("a100-pcie", 1, 1000, 2_994, "v2.0 H3C", ["--link=pcie4"], False, "another memory and bus"),
    ("a100-pcie", 4, 408, 12_460, "v2.0 H3C", ["--link=pcie4"], False, "another memory and bus"),
    ("a100-pcie", 8, 408, 24_760, "v2.0 H3C", ["--link=pcie4"], False, "another memory and bus"),
]

# Weak scaling alone, where the same program was run on fewer and more: source, device, images a rank, flags, settings,
# (ranks, images/s) from the fewest on.
SCALING = [
    ("v2.0 Dell, A100-40", "a100-sxm-40gb", 204, ["--link=nvlink3+hdr", "--node=4"], MLPERF,
     [(4, 4 * 204 / 0.0673), (8, 8 * 204 / 0.0721), (16, 16 * 204 / 0.0726), (64, 64 * 204 / 0.0746)]),
    ("Lambda, H200, PyTorch", "h200-sxm", 2560, [], DDP, [(1, 2560 / 0.8315), (8, 8 * 2560 / 0.8366)]),
    ("Lambda, H100, PyTorch", "h100-sxm", 1280, [], DDP, [(1, 2_791), (2, 5_530), (4, 11_060), (8, 22_060)]),
]


def predict(convoy, device, ranks, images, flags, settings):
    command = [convoy, "bench", "predict", "configs/resnet50-synthetic.yaml", f"batch.global={images}",
               f"batch.micro={images}", *settings, f"--compute={device}", f"--ranks={ranks}", "--json", *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)["predictions"][0]


def print_runs(convoy):
    print("| GPUs | images a GPU | source | published, images/s | predicted | error | step, ms | limited by | | |")
    print("|---|--:|---|--:|--:|--:|--:|---|---|---|")
    errors = []
    for device, ranks, images, published, source, flags, fitted, note in RUNS:
        it = predict(convoy, device, ranks, images, flags, MLPERF)
        error = it["images_per_second"] / published - 1
        comparable = "evaluation" not in note
        if comparable and not fitted:
            errors.append((abs(error), f"{ranks} {device}, {source}"))
        print(f"| {ranks} {device} | {images} | {source} | {published:,.0f} | {it['images_per_second']:,.0f} | "
              f"{100 * error:+.1f} % | {1e3 * it['seconds_per_step']:.2f} | {it['limited_by']} | "
              f"{'fitted' if fitted else 'held out' if comparable else 'not compared'} | {note} |")
    errors.sort()
    within = sum(error <= 0.1 for error, _ in errors)
    print(f"\n{len(errors)} held out: median error {100 * errors[len(errors) // 2][0]:.1f} %, {within} within 10 %, "
          f"worst {100 * errors[-1][0]:.1f} % ({errors[-1][1]}).")


def print_scaling(convoy):
    print("\n| weak scaling | GPUs | published | predicted | difference |\n|---|--:|--:|--:|--:|")
    for source, device, images, flags, settings, points in SCALING:
        first = None
        for ranks, published in points:
            predicted = predict(convoy, device, ranks, images, flags, settings)["images_per_second"] / ranks
            if first is None:
                first = (published / ranks, predicted)
                continue
            was, will_be = published / ranks / first[0], predicted / first[1]
            print(f"| {source} | {points[0][0]} → {ranks} | {100 * was:.1f} % | {100 * will_be:.1f} % | "
                  f"{100 * (will_be - was):+.1f} |")


def fit(convoy, name, flops, memory, link):
    """Efficiency from the difference of the two fitted steps, then the overhead from their sum."""
    points = [(ranks, images, ranks * images / rate)
              for device, ranks, images, rate, _, _, fitted, _ in RUNS if device == name and fitted]
    assert len(points) == 2

    def steps(efficiency, overhead):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"flops_per_second": flops, "bytes_per_second": memory, "efficiency": efficiency,
                       "overhead_seconds": overhead, "link": link}, file)
            file.flush()
            return [predict(convoy, file.name, ranks, images, [], MLPERF)["seconds_per_step"]
                    for ranks, images, _ in points]

    def difference(pair):
        return pair[0] - pair[1]

    low, high, overhead = 0.2, 1.0, 3e-3
    for _ in range(3):
        low, high = 0.2, 1.0
        for _ in range(20):
            middle = (low + high) / 2
            if difference(steps(middle, overhead)) > difference([step for _, _, step in points]):
                low = middle
            else:
                high = middle
        overhead += sum(step - predicted
                        for (_, _, step), predicted in zip(points, steps(middle, overhead))) / 2
    print(f"{name}: efficiency {middle:.4f}, overhead {1e3 * overhead:.3f} ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--convoy", default=os.path.join(ROOT, "build/release/convoy"))
    parser.add_argument("--fit", action="store_true")
    arguments = parser.parse_args()
    convoy = os.path.abspath(arguments.convoy)
    if arguments.fit:
        fit(convoy, "h100-sxm", 989e12, 0.88 * 3.35e12, "dgx-h100")
        fit(convoy, "a100-sxm", 312e12, 0.88 * 2.039e12, "dgx-a100")
        return
    print_runs(convoy)
    print_scaling(convoy)


if __name__ == "__main__":
    main()
