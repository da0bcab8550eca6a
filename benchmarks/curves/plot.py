#!/usr/bin/env python3
"""Learning curves on one plot: test accuracy and training loss by epoch, as SVG, and what they came to as a Markdown table.

  pip install matplotlib
  benchmarks/curves/plot.py curves.svg Convoy=runs/resnet20-1 Convoy=runs/resnet20-2 PyTorch=pytorch-1.jsonl
  benchmarks/curves/plot.py precisions.svg f32=runs/f32 bf16=runs/bf16

Each curve is LABEL=RUN: the directory of a Convoy run, of any recipe, or a file such as its log.jsonl.  Curves of the same
label have the same colour.  The training loss is the mean of the steps of an epoch that were logged: all of them with
train.log_every_steps=1.
"""

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

LAST = 5  # epochs, of the mean


class Curve:
    def __init__(self, argument):
        self.label, _, path = argument.partition("=")
        if not path:
            sys.exit(f"expected LABEL=RUN, found {argument}")
        path = Path(path)
        self.name = path.stem if path.is_file() else path.name
        losses, accuracies = {}, {}  # by step: what a run that was stopped did again counts once
        epoch = 0
        for line in (path if path.is_file() else path / "log.jsonl").read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event["event"] == "step":
                epoch = event["epoch"] + 1
                losses[event["step"]] = (epoch, event["loss"])
            if event["event"] == "test":
                accuracies[event["step"]] = (epoch, 100 * event["correct"] / event["images"])
        self.accuracy = dict(accuracies.values())
        self.loss = {}
        for epoch, loss in losses.values():
            self.loss.setdefault(epoch, []).append(loss)
        self.loss = {epoch: statistics.mean(it) for epoch, it in self.loss.items()}

    def row(self):
        best = max(self.accuracy, key=self.accuracy.get)
        accuracy = list(self.accuracy.values())
        return (f"| {self.label} | {self.name} | {max(self.accuracy)} | {accuracy[-1]:.2f} % "
                f"| {self.accuracy[best]:.2f} % in epoch {best} | {statistics.mean(accuracy[-LAST:]):.2f} % "
                f"| {list(self.loss.values())[-1]:.4f} |")  # fmt: skip


def draw(curves, path):
    plt.rcParams["svg.hashsalt"] = "curves"  # the same file for the same curves
    colours = {label: f"C{i}" for i, label in enumerate(dict.fromkeys(it.label for it in curves))}
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for curve in curves:
        style = {"color": colours[curve.label], "linewidth": 1.2}
        left.plot(curve.accuracy.keys(), curve.accuracy.values(), **style)
        right.plot(curve.loss.keys(), curve.loss.values(), **style)
    for axes, title in ((left, "test accuracy, %"), (right, "training loss")):
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
    left.legend(handles=[plt.Line2D([], [], color=it, label=label) for label, it in colours.items()])
    figure.savefig(path, metadata={"Date": None})


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    curves = [Curve(argument) for argument in sys.argv[2:]]
    draw(curves, sys.argv[1])
    print(f"| | run | epochs | test accuracy, last | best | mean of the last {LAST} | training loss, last epoch |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for curve in curves:
        print(curve.row())


if __name__ == "__main__":
    main()
