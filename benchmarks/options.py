#!/usr/bin/env python3
"""What training options cost: time of a step with each of them against the step without, in turn, as a Markdown table.

  benchmarks/options.py [--convoy build/release/convoy] [--np 2] [--rounds 3] [--repeat 10]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENT = "configs/resnet18-synthetic.yaml"
ROWS = 64  # of each rank in a step
PLAIN = ["train.precision=f32", "device=cpu", "threads=1"]
OPTIONS = {
    "plain": [],
    "train.sync_bn": ["train.sync_bn=true"],
    "optimizer.sharded": ["optimizer.sharded=true"],
    "two micro-batches of 32 a rank": ["batch.micro=32"],
    "four micro-batches of 16 a rank": ["batch.micro=16"],
    "train.recompute: blocks": ["train.recompute=blocks"],
    "train.ema_decay": ["train.ema_decay=0.998"],
    "optimizer.clip_norm": ["optimizer.clip_norm=1"],
}


def step_seconds(options, overrides):
    command = ["mpirun", "--oversubscribe", "-np", str(options.np), options.convoy, "bench", "step", EXPERIMENT,
               *PLAIN, f"batch.global={ROWS * options.np}", f"batch.micro={ROWS}", *overrides, "--repeat", str(options.repeat), "--json"]  # fmt: skip
    run = subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"'{' '.join(command)}' failed with exit code {run.returncode}: {run.stderr.strip()}")
    return json.loads(run.stdout)["seconds_per_step"]


def main():
    parser = argparse.ArgumentParser(description="what training options cost")
    parser.add_argument("--convoy", default=str(ROOT / "build/release/convoy"))
    parser.add_argument("--np", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=10)
    options = parser.parse_args()
    options.convoy = os.path.abspath(options.convoy)
    seconds = {name: [] for name in OPTIONS}
    for _ in range(options.rounds):
        for name, overrides in OPTIONS.items():
            seconds[name].append(step_seconds(options, overrides))
    plain = statistics.median(seconds["plain"])
    print(f"| {EXPERIMENT}, {options.np} ranks, {ROWS} rows each, {' '.join(PLAIN)} | ms a step, by round | of plain |\n|---|---|--:|")
    for name, times in seconds.items():
        print(f"| {name} | {', '.join(f'{1e3 * it:.1f}' for it in times)} | {statistics.median(times) / plain:.2f} |")


if __name__ == "__main__":
    main()
