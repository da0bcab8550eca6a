#!/usr/bin/env python3
"""Transfer learning on real JPEGs: a frozen base against training all of it, and against starting from nothing.

The base is ResNet-20 (CIFAR's) on 64x64 images of the sign language digits 0 to 4; the new task are the digits 5 to 9
with few images a class.  Prints a Markdown table: accuracy, step time, memory, bytes that ranks add up in a step.

  benchmarks/transfer.py CONVOY [WORK-DIRECTORY]     CONVOY: the program; data: $CONVOY_TEST_DATA/sign-digits
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PER_CLASS = 20  # images of the new task to train on
SEEDS = (1, 2, 3)

EXPERIMENT = """
experiment: {{name: {name}, seed: {seed}}}
model:
{model}
data:
  format: images
  path: {train}
  test_path: {test}
  classes: 5
  shape: [64, 64, 3]
  crop: {{type: stretch}}
  mean: [0.5]
  std: [0.25]
  augment: {{pad_crop: 4}}
  cache: ram
  workers: 1
batch: {{global: 20, micro: 10}}
train: {{epochs: {epochs}, eval_every_epochs: 0}}
optimizer: {{type: sgd, learning_rate: {rate}, momentum: 0.9, weight_decay: 0.0005}}
schedule: {{type: cosine}}
checkpoint: {{every_epochs: 0}}
progress: none
"""

HEAD = "  layers: [global_average, flatten, linear: {units: classes}]\n"


def base(models, extra):
    return f"  base: {{config: {models}/cifar-resnet20.yaml{extra}}}\n{HEAD}"


def manifest(path, root, classes, first, last):
    """Images `first` to `last` of each class, labelled from 0."""
    rows = ["path,label"]
    for label, digit in enumerate(classes):
        files = sorted((root / str(digit)).iterdir())[first:last]
        rows += [f"{file.absolute()},{label}" for file in files]
    path.write_text("\n".join(rows) + "\n")
    return path


def run(convoy, work, name, model, train, test, epochs, rate, seed=1, exports=None, ranks=2):
    text = EXPERIMENT.format(name=name, seed=seed, model=model, train=train, test=test, epochs=epochs, rate=rate)
    if exports:
        text = text.replace("eval_every_epochs: 0}", f"eval_every_epochs: 0, exports: [{exports}]}}")
    config = work / f"{name}.yaml"
    config.write_text(text)
    subprocess.run(["mpirun", "-np", str(ranks), convoy, "train", str(config), "--fresh"], cwd=work, check=True)
    steps, accuracy = [], None
    for line in (work / "runs" / name / "log.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "step":
            steps.append(event["step_seconds"])
        if event["event"] == "test":
            accuracy = event["correct"] / event["images"]
    inspected = json.loads(subprocess.run([convoy, "inspect", str(config), "--json"], cwd=work, check=True,
                                          capture_output=True, text=True).stdout)
    return accuracy, inspected


def step_seconds(convoy, work, name):
    """Of a step on one rank, without loading."""
    out = subprocess.run([convoy, "bench", "step", str(work / f"{name}.yaml"), "--repeat=30", "--json"], cwd=work,
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)["seconds_per_step"]


def main():
    convoy = str(Path(sys.argv[1]).absolute())
    work = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()).absolute()
    work.mkdir(parents=True, exist_ok=True)
    root = Path(os.environ.get("CONVOY_TEST_DATA", "../shared/data")).absolute() / "sign-digits"
    models = Path(__file__).absolute().parent.parent / "configs" / "models"
    old, new = range(0, 5), range(5, 10)
    accuracy, _ = run(convoy, work, "base", base(models, ""), manifest(work / "old.csv", root, old, 0, 180),
                      manifest(work / "old-test.csv", root, old, 180, None), 12, 0.05, exports="base.safetensors")
    print(f"base: {accuracy:.1%} of the digits 0 to 4\n")
    weights = work / "runs/base/base.safetensors"
    train = manifest(work / "new.csv", root, new, 0, PER_CLASS)
    test = manifest(work / "new-test.csv", root, new, 60, None)
    rows = []
    for name, extra, rate in (("frozen", f", weights: {weights}, freeze: true", 0.05),
                              ("all of it", f", weights: {weights}", 0.02), ("from nothing", "", 0.05)):
        label = name.replace(" ", "-")
        results = [run(convoy, work, label, base(models, extra), train, test, 20, rate, seed) for seed in SEEDS]
        accuracies = [accuracy for accuracy, _ in results]
        rows.append((name, accuracies, results[0][1], step_seconds(convoy, work, label)))
    print("| | accuracy, seeds 1, 2, 3 | step, ms | activations, MiB | gradients and momentum, MiB | added up a step, KiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, accuracies, it, seconds in rows:
        memory = it["memory"]
        print(f"| {name} | {', '.join(f'{a:.1%}' for a in accuracies)} | {1e3 * seconds:.2f} |"
              f" {memory['training']['arena_bytes'] / 2**20:.2f} |"
              f" {(memory['gradient_bytes'] + memory['optimizer_bytes']) / 2**20:.3f} |"
              f" {sum(b['bytes'] for b in it['buckets']) / 2**10:.1f} |")


if __name__ == "__main__":
    main()
