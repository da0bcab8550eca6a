#!/usr/bin/env python3
"""What a slow network costs: `convoy bench overlap` on hosts that are network namespaces of this machine, as a Markdown table.

  benchmarks/hosts.py [--convoy build/release/convoy] [--repeat 4] [--cases mnist resnet18] [--rates 1gbit 100mbit]
                      [--layouts 2x1 4x1 2x2 2x2-flat]

Needs root, and what tests/hosts/with_hosts needs.  Each rank has one thread; all share this machine's processors.  For
every layout, link and network: a step with buckets cut by time while backward runs, with one sum afterwards, and of each
rank alone with nothing communicated, by turns in one job; gradients as f32, as bf16, and as bf16 with error feedback.
Layouts with two ranks on a host are measured with the hierarchical transport and without.
Below it: whether a short training run on the hosts has np 1's parameters; and what `convoy bench predict` makes of the
layouts with one rank on each host, from rows of a step of as many ranks on one host, which train apart, and sums between the hosts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WITH_HOSTS = ROOT / "tests/hosts/with_hosts"
CASES = {"mnist": ("MNIST example, batch 64", "configs/fashion-mnist.yaml", 64),
         "resnet18": ("ResNet-18 at 32×32, batch 64", "configs/resnet18-synthetic.yaml", 64)}  # fmt: skip
TRAVEL = {"f32": [], "bf16": ["distributed.gradients=bf16"],
          "bf16, error feedback": ["distributed.gradients=bf16", "distributed.error_feedback=true"]}  # fmt: skip
LAYOUTS = {"2x1": (2, 1, "auto"), "4x1": (4, 1, "auto"), "2x2": (2, 2, "hierarchical"),
           "2x2-flat": (2, 2, "progress_thread")}  # hosts, ranks on each  # fmt: skip
APART = 1000  # steps: no gradient is summed in those that are measured
# Of sums that a prediction is made from: repeats and the largest.
SUMS = {"1gbit": ["--repeat=5", f"--maxbytes={16 << 20}"], "100mbit": ["--repeat=2", f"--maxbytes={4 << 20}"]}
# One micro-batch a rank, so that np 1 adds as the ranks do.
SMALL = """
experiment: {name: small}
model: {layers: [{conv2d: {filters: 8, kernel: 3}}, batch_norm, relu, flatten, {linear: {units: 256}}, relu, {linear: {units: classes}}]}
data: {format: synthetic, shape: [12, 12, 1], classes: 10, train_size: 512, test_size: 64}
train: {steps: 40}
optimizer: {type: sgd, learning_rate: 0.05, momentum: 0.9}
device: cpu
threads: 1
progress: none
"""


def output_of(command, **more):
    run = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if run.returncode != 0:
        sys.exit(f"'{' '.join(map(str, command))}' failed with exit code {run.returncode}: {run.stderr.strip()}")
    return run.stdout


def mpirun(ranks, *flags):
    return ["mpirun", "--oversubscribe", *flags, "-np", str(ranks)]


def on_hosts(hosts, ranks, rate, command, **more):
    return output_of([WITH_HOSTS, str(hosts), rate, *mpirun(hosts * ranks, "--map-by", "node"), *command], **more)


def measure(options, case, layout, rate, travel):
    (_, config, batch), (hosts, ranks, transport) = CASES[case], layout
    command = [options.convoy, "bench", "overlap", config, f"batch.global={batch * hosts * ranks}", f"batch.micro={batch}",
               "device=cpu", "threads=1", f"distributed.transport={transport}", *TRAVEL[travel], f"--repeat={options.repeat}",
               "--json"]  # fmt: skip
    return json.loads(on_hosts(hosts, ranks, rate, command, cwd=ROOT))


def row(it, case, layout, rate, travel):
    hosts, ranks, transport = layout
    step, after, alone = it["seconds_per_step"], it["seconds_afterwards"], it["seconds_alone"]
    where = f"{hosts} × {ranks}" + ("" if ranks == 1 else {"hierarchical": ", hierarchical"}.get(transport, ", flat"))
    return (f"| {CASES[case][0]} | {where} | {rate} | {travel} | {1e3 * step:.1f} | {1e3 * after:.1f} | {1e3 * alone:.1f} "
            f"| {100 * alone / step:.0f} % | {1e3 * it['communication_wait']:.1f} |")  # fmt: skip


def predicted_seconds(options, case, hosts, travel, step_file, sums_file, overlap):
    (_, config, batch) = CASES[case]
    command = [options.convoy, "bench", "predict", config, f"batch.global={batch}", f"batch.micro={batch}", "device=cpu",
               "threads=1", *TRAVEL[travel], f"distributed.overlap={overlap}", f"--compute={step_file}", f"--link={sums_file}",
               f"--ranks={hosts}", "--json"]  # fmt: skip
    return json.loads(output_of(command, cwd=ROOT))["predictions"][0]["seconds_per_step"]


def predict(options, measured):
    """Of the rows {(case, layout, rate, travel): JSON of bench overlap} that were measured with one rank on each host."""
    print("\n| network | hosts | link | gradients as | | measured, ms | predicted, ms | error |")
    print("|---|--:|---|---|---|--:|--:|--:|")
    errors = []
    with tempfile.TemporaryDirectory() as directory:
        for (case, (hosts, ranks, _), rate, travel), it in measured.items():
            if ranks > 1 or travel.endswith("feedback"):
                continue
            name, config, batch = CASES[case]
            step_file = Path(directory, f"step-{case}-{hosts}.json")
            sums_file = Path(directory, f"sums-{hosts}-{rate}-{travel}.json")
            experiment = [config, f"batch.global={batch * hosts}", f"batch.micro={batch}", "device=cpu", "threads=1", "--json"]
            if not step_file.exists():
                step = [options.convoy, "bench", "step", *experiment, f"distributed.average_every={APART}", "--repeat=20"]
                step_file.write_text(output_of([*mpirun(hosts), *step], cwd=ROOT), encoding="utf-8")
            if not sums_file.exists():
                sums = [options.convoy, "bench", "all-reduce", *experiment, *TRAVEL[travel], *SUMS[rate]]
                sums_file.write_text(on_hosts(hosts, 1, rate, sums, cwd=ROOT), encoding="utf-8")
            for key, overlap, what in (("seconds_per_step", "true", "buckets"), ("seconds_afterwards", "false", "one sum afterwards")):
                seconds = predicted_seconds(options, case, hosts, travel, step_file, sums_file, overlap)
                errors.append(seconds / it[key] - 1)
                print(f"| {name} | {hosts} | {rate} | {travel} | {what} | {1e3 * it[key]:.1f} | {1e3 * seconds:.1f} "
                      f"| {100 * errors[-1]:+.1f} % |", flush=True)  # fmt: skip
    sizes = [abs(error) for error in errors]
    print(f"\n{len(sizes)} rows: median error {100 * statistics.median(sizes):.1f} %, {sum(size <= 0.1 for size in sizes)} within "
          f"10 %, worst {100 * max(sizes):.1f} %.")  # fmt: skip


def parameters(directory):
    """The optimizer's file: unlike the model's, it does not name the run."""
    return next(Path(directory).glob("runs/*/checkpoints/step-0000000040/optimizer.safetensors")).read_bytes()


def same_parameters(options, layout):
    hosts, ranks, transport = layout
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as many:
        batch = [f"batch.global={8 * hosts * ranks}", "batch.micro=8"]
        for directory in (one, many):
            Path(directory, "small.yaml").write_text(SMALL + "batch: {global: 8, micro: 8}\n", encoding="utf-8")
        train = [options.convoy, "train", "small.yaml", *batch]
        output_of(train, cwd=one)
        on_hosts(hosts, ranks, "1gbit", [*train, f"distributed.transport={transport}"], cwd=many)
        return parameters(one) == parameters(many)


def main():
    parser = argparse.ArgumentParser(description="what a slow network costs")
    parser.add_argument("--convoy", default=str(ROOT / "build/release/convoy"))
    parser.add_argument("--repeat", type=int, default=4)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rates", nargs="+", choices=SUMS, default=list(SUMS))
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    options = parser.parse_args()
    options.convoy = os.path.abspath(options.convoy)
    print("| network | hosts × ranks | link | gradients as | ms a step | one sum afterwards | alone | efficiency | exposed, ms |")
    print("|---|---|---|---|--:|--:|--:|--:|--:|")
    layouts, measured = [LAYOUTS[name] for name in options.layouts], {}
    for case in options.cases:
        for layout in layouts:
            for rate in options.rates:
                for travel in TRAVEL:
                    if travel.endswith("feedback") and layout != LAYOUTS["2x1"]:
                        continue
                    it = measured[case, layout, rate, travel] = measure(options, case, layout, rate, travel)
                    print(row(it, case, layout, rate, travel), flush=True)
    for layout in layouts:
        hosts, ranks, transport = layout
        same = "the bits of np 1's" if same_parameters(options, layout) else "other bits than np 1's"
        print(f"\n{hosts} hosts with {ranks} rank(s) each, {transport}: after 40 steps the momentum has {same}.", end="")
    print()
    if any(ranks == 1 for _, ranks, _ in layouts):
        predict(options, measured)


if __name__ == "__main__":
    main()
