"""The networks of configs/models against torchvision's: logits and losses, as a Markdown table.

Started by scripts/compare-zoo.  For every network, torch draws the weights; its batch norm gets the statistics of the
batch.  Then, on the same pixels:

- logits in evaluation, of Convoy (`convoy predict --logits` on the safetensors file) and of PyTorch in f32, each against
  PyTorch in f64: the largest difference, relative to the largest logit;
- the losses of ten steps of SGD with momentum on one batch (`convoy train` from that file), dropout and stochastic depth
  off, against PyTorch's in f32 and in f64: the largest relative difference.

Networks with Keras' names have no twin here; Convoy trains them from its own start.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

try:
    import numpy
    import safetensors.torch
    import torch
    import torchvision
except ImportError as error:
    sys.exit(f"compare-zoo: {sys.executable} cannot import {error.name}: give another with --python")

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/oracles"))
from zoo_networks import NETWORKS  # noqa: E402

KERAS = {"keras-vgg16": 224, "keras-resnet50": 224, "keras-resnet101": 224, "keras-resnet152": 224}
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # the preprocessing "torch"
STEPS = 10


def make_network(name, pixels):
    """In f32, without chance, with the statistics of the batch."""
    torch.manual_seed(1)
    network = NETWORKS[name][0]()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0
        if isinstance(module, torchvision.ops.StochasticDepth):
            module.p = 0
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the mean of what it sees
    with torch.no_grad():
        network.train()(to_input(pixels, torch.float32))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    return network


def to_input(pixels, dtype):
    images = torch.from_numpy(pixels).to(dtype) / 255
    return ((images - torch.tensor(MEAN, dtype=dtype)) / torch.tensor(STD, dtype=dtype)).permute(0, 3, 1, 2).contiguous()


def torch_losses(network, pixels, labels, rate, dtype):
    network.to(dtype).train()
    images, labels = to_input(pixels, dtype), torch.from_numpy(labels).long()
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def run(command, directory):
    result = subprocess.run([str(word) for word in command], cwd=directory, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        why = (result.stderr.strip() or result.stdout.strip() or "no output").splitlines()[-1]
        sys.exit(f"compare-zoo: '{' '.join(map(str, command))}' failed with exit code {result.returncode}: {why}")
    return result.stdout


def convoy_logits(options, directory, count):
    command = [options.convoy, "predict", "weights.safetensors", "pixels.npy", "--model_file=model.yaml", "--logits",
               "--preprocessing=torch", "--device=cpu", "--format=jsonl", f"--batch_size={count}", "--out=logits.jsonl"]
    run(command, directory)
    lines = (directory / "logits.jsonl").read_text(encoding="utf-8").splitlines()
    return numpy.array([json.loads(line)["logits"] for line in lines])


def convoy_losses(options, directory, classes, count, rate, weights):
    (directory / "experiment.yaml").write_text(json.dumps({
        "experiment": {"name": "zoo", "output_dir": str(directory / "runs")},
        "model": {"config": "model.yaml"} | ({"weights": "weights.safetensors"} if weights else {}),
        "data": {"format": "npz", "path": "data.npz", "classes": classes, "mean": MEAN, "std": STD},
        "batch": {"global": count, "micro": count},
        "train": {"steps": STEPS, "log_every_steps": 1, "eval_every_epochs": 0, "precision": "f32"},
        "optimizer": {"type": "sgd", "learning_rate": rate, "momentum": 0.9},
        "checkpoint": {"every_epochs": 0}, "device": "cpu",
    }), encoding="utf-8")  # fmt: skip
    run([options.convoy, "train", "experiment.yaml", "--fresh"], directory)
    events = map(json.loads, (directory / "runs/zoo/log.jsonl").read_text(encoding="utf-8").splitlines())
    return [event["loss"] for event in events if event["event"] == "step"]


def write_inputs(directory, name, side, count):
    classes = 10 if side == 32 else 1000
    random = numpy.random.default_rng(1)
    pixels = random.integers(0, 256, (count, side, side, 3), dtype=numpy.uint8)
    labels = random.integers(0, classes, count).astype(numpy.int64)
    numpy.save(directory / "pixels.npy", pixels)
    numpy.savez(directory / "data.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    model = (ROOT / f"configs/models/{name}.yaml").read_text(encoding="utf-8")
    (directory / "model.yaml").write_text(re.sub(r"\brate: [0-9.]+", "rate: 0", model), encoding="utf-8")
    return pixels, labels, classes


def difference(found, expected):
    return float(numpy.abs(numpy.asarray(found) - numpy.asarray(expected)).max() / numpy.abs(expected).max())


def largest_relative(found, expected):
    return max(abs(one - other) / abs(other) for one, other in zip(found, expected, strict=True))


def compare(name, options, directory):
    side = NETWORKS[name][1] if name in NETWORKS else KERAS[name]
    if side > 32 and options.side:
        side = options.side
    pixels, labels, classes = write_inputs(directory, name, side, options.batch)
    rate = options.learning_rate
    if name in KERAS:
        losses = convoy_losses(options, directory, classes, options.batch, rate, False)
        return [name, side, "–", "–", f"{losses[0]:.4f} → {losses[-1]:.4f}", "–", "–", "–"], losses
    network = make_network(name, pixels)
    safetensors.torch.save_file(network.state_dict(), directory / "weights.safetensors")
    logits, error = {}, "–"
    with torch.no_grad():
        for dtype in (torch.float64, torch.float32):
            logits[dtype] = network.to(dtype).eval()(to_input(pixels, dtype)).double().numpy()
    exact = logits[torch.float64]
    if not options.losses_only:
        error = f"{difference(convoy_logits(options, directory, options.batch), exact):.1e}"
    cells = [name, side, error, f"{difference(logits[torch.float32], exact):.1e}"]
    losses = convoy_losses(options, directory, classes, options.batch, rate, True)
    start = {key: value.clone() for key, value in network.state_dict().items()}
    in_f32 = torch_losses(network, pixels, labels, rate, torch.float32)
    network.float().load_state_dict(start)
    in_f64 = torch_losses(network, pixels, labels, rate, torch.float64)
    return [*cells, f"{losses[0]:.4f} → {losses[-1]:.4f}", f"{in_f64[0]:.4f} → {in_f64[-1]:.4f}",
            f"{largest_relative(losses, in_f64):.1e}", f"{largest_relative(in_f32, in_f64):.1e}"], losses  # fmt: skip


def header(options):
    version = subprocess.run([options.convoy, "--version"], capture_output=True, text=True, check=False).stdout
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        processor = next((line.split(": ")[1].strip() for line in lines if line.startswith("model name")),
                         platform.machine())  # fmt: skip
    return [
        "# The networks of configs/models and PyTorch's",
        "",
        f"- {datetime.date.today()}, {processor}, {os.cpu_count()} processors",
        f"- {version.splitlines()[0]}; PyTorch {torch.__version__}, torchvision {torchvision.__version__}",
        f"- {options.batch} images of noise; weights as torchvision draws them, read from safetensors; repeat with "
        "`scripts/compare-zoo`",
        "- logits: largest difference from PyTorch in f64, relative to the largest logit; losses of ten steps of SGD with "
        f"rate {options.learning_rate} and momentum 0.9, dropout and stochastic depth off: the first and the last, and the largest relative difference from "
        "PyTorch in f64",
        "- networks with Keras' names have no twin here: Convoy trains them from its own start",
        "",
        "| network | side | logits, Convoy | logits, PyTorch f32 | losses, Convoy | losses, PyTorch f64 | difference, Convoy "
        "| difference, PyTorch f32 |",
        "|---|--:|--:|--:|---|---|--:|--:|",
    ]


def main():
    known = [*NETWORKS, *KERAS]
    parser = argparse.ArgumentParser(prog="compare-zoo", description="configs/models against PyTorch, on the CPU")
    parser.add_argument("--networks", nargs="+", choices=known, default=known, metavar="NETWORK", help=", ".join(known))
    parser.add_argument("--batch", type=int, default=4, help="images; default: 4")
    parser.add_argument("--side", type=int, help="of the images of ImageNet's networks; default: 224")
    parser.add_argument("--learning-rate", type=float, default=0.001, help="of the ten steps; default: 0.001")
    parser.add_argument("--losses-only", action="store_true", help="leave out Convoy's logits")
    parser.add_argument("--convoy", default=str(ROOT / "build/release/convoy"), help="default: build/release/convoy")
    parser.add_argument("--write", metavar="FILE", help="also write the table there")
    options = parser.parse_args()
    text = "\n".join(header(options)) + "\n"
    print(text, end="", flush=True)
    rising = []
    for name in options.networks:
        with tempfile.TemporaryDirectory(prefix="compare-zoo-") as directory:
            cells, losses = compare(name, options, pathlib.Path(directory))
        row = "| " + " | ".join(map(str, cells)) + " |\n"
        print(row, end="", flush=True)
        text += row
        if not losses[-1] < losses[0]:  # NaN, too
            rising.append(name)
    if options.write:
        pathlib.Path(options.write).write_text(text, encoding="utf-8")
    if rising:
        sys.exit(f"compare-zoo: the loss does not fall: {', '.join(rising)}")


if __name__ == "__main__":
    main()
