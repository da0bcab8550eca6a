"""Convoy against onnxruntime on the CPU: images per second from decoded pixels to probabilities, as a Markdown table.

Started by scripts/compare-predict.  For every network, batch and number of threads, short rounds in turn: Convoy, and
onnxruntime on what torch exports of the same torchvision network with the same weights.  onnxruntime is measured twice:
`pixels`, with normalising and softmax in its graph as Convoy has them, and `tensor`, from ready f32 N,C,H,W to
probabilities: less work than Convoy does.  What counts is the ratio within a round; the table shows the median and the
quartiles.  Before, the probabilities of both are compared.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

try:
    import numpy
    import onnxruntime
    import torch
    import torchvision
    from safetensors.torch import save_file
except ImportError as error:
    sys.exit(f"compare-predict: {sys.executable} cannot import {error.name}: give another with --python")

ROOT = Path(__file__).resolve().parent.parent
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NETWORKS = ("resnet50", "vgg16")


class Probabilities(torch.nn.Module):
    """With `pixels`, u8 [n,H,W,3]; else what the network takes."""

    def __init__(self, network, pixels):
        super().__init__()
        self.network, self.pixels = network, pixels
        self.register_buffer("scale", 1 / (255 * torch.tensor(STD)).reshape(1, 3, 1, 1))
        self.register_buffer("shift", -(torch.tensor(MEAN) / torch.tensor(STD)).reshape(1, 3, 1, 1))

    def forward(self, x):
        if self.pixels:
            x = x.permute(0, 3, 1, 2).float() * self.scale + self.shift
        return torch.softmax(self.network(x), 1)


def made_network(name):
    torch.manual_seed(1)
    network = getattr(torchvision.models, name)(weights=None).eval()
    for module in network.modules():  # running statistics that are not 0 and 1
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


class Onnx:
    def __init__(self, network, images, pixels, threads, clock, folder):
        self.feed, self.clock = images, clock
        if not pixels:
            ready = (images.astype("float32") / 255 - numpy.array(MEAN, "float32")) / numpy.array(STD, "float32")
            self.feed = numpy.ascontiguousarray(ready.transpose(0, 3, 1, 2))
        path = folder / "network.onnx"
        torch.onnx.export(Probabilities(network, pixels), (torch.from_numpy(self.feed),), str(path), dynamo=False,
                          input_names=["x"], output_names=["y"])  # fmt: skip
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def predict(self):
        return self.session.run(None, {"x": self.feed})[0]

    def speed(self, seconds):
        begin, count = self.clock(), 0
        while True:
            self.predict()
            count += len(self.feed)
            passed = self.clock() - begin
            if passed >= seconds:
                return count / passed


class Convoy:
    def __init__(self, options, name, weights, images, threads):
        model = ROOT / f"configs/models/{name}.yaml"
        command = [options.program, str(model), weights, images, "--threads", str(threads)]
        command += ["--cpu-time"] if options.cpu_time else []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"compare-predict: {' '.join(map(str, command))} failed")
        self.probabilities = numpy.array(json.loads(line))

    def speed(self, seconds):
        print(seconds, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def quartiles(values):
    values = sorted(values)
    return numpy.percentile(values, [25, 50, 75])


def compare(name, batch, threads, options, folder):
    network = made_network(name)
    images = numpy.random.default_rng(batch).integers(0, 256, (batch, 224, 224, 3), "uint8")
    numpy.save(folder / "images.npy", images)
    save_file(network.state_dict(), folder / "weights.safetensors")
    clock = time.process_time if options.cpu_time else time.perf_counter
    convoy = Convoy(options, name, folder / "weights.safetensors", folder / "images.npy", threads)
    rivals = {x: Onnx(network, images, x == "pixels", threads, clock, folder) for x in ("tensor", "pixels")}
    wanted = rivals["pixels"].predict()
    error = numpy.abs(convoy.probabilities.reshape(wanted.shape) - wanted).max() / wanted.max()
    sides = {"Convoy": convoy, **rivals}
    for side in sides.values():
        side.speed(options.seconds)
    rounds = []
    for number in range(options.rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        found = {side: sides[side].speed(options.seconds) for side in order}
        rounds.append(found)
    convoy.end()
    cells = [f"{statistics.median(r[side] for r in rounds):.2f}" for side in sides]
    for rival in rivals:
        low, middle, high = quartiles(r["Convoy"] / r[rival] for r in rounds)
        cells.append(f"**{middle:.2f}** ({low:.2f} … {high:.2f})")
    print(f"| {name} | {batch} | {threads} | " + " | ".join(cells) + f" | {error:.0e} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", default=str(ROOT / "build/release/convoy_bench_predict"))
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--threads", nargs="+", type=int, default=[len(os.sched_getaffinity(0))])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a side in a round, and at least one batch")
    parser.add_argument("--cpu-time", action="store_true",
                        help="count seconds that processors worked for a side: for one thread on a busy machine")
    options = parser.parse_args()
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    print(f"{datetime.date.today()}, {model}, {len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f}; "
          f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}\n")  # fmt: skip
    print("| network | batch | threads | Convoy, images/s | ORT from a tensor | ORT from pixels | "
          "Convoy / ORT from a tensor | Convoy / ORT from pixels | difference of probabilities |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.networks:
            for threads in options.threads:
                for batch in options.batches:
                    compare(name, batch, threads, options, Path(folder))


if __name__ == "__main__":
    main()
