#!/usr/bin/env python3
"""The recipe of a Convoy run of CIFAR's ResNet-20, trained in PyTorch on the CPU: the other curve for plot.py.

  pip install torch torchvision pyyaml
  benchmarks/curves/train_pytorch.py RUN LOG

RUN is the directory of the run, whose config.yaml says all about the recipe, the seed too; its `data.path` must be a
directory and `batch.micro` be given.  LOG gets the lines that Convoy writes to log.jsonl.  What this file knows of the recipe is
what no key says: the network with its initialisers, that steps of less than `batch.global` rows are dropped, and that
batch norm takes its statistics from `batch.micro` rows.  A recipe with other keys than these is refused.

For the two curves, two seeds each, see run.sh.
"""

import json
import math
import os
import sys
import time
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/oracles"))
from zoo_networks import CifarResNet  # noqa: E402

# What may stand in keys that are not looked at below; where there is no such key, None.
EXPECTED = {
    "model.name": ["cifar-resnet20"], "model.weights": [None], "model.zero_init_residual": [False],
    "data.format": ["cifar"], "data.classes": [10], "data.last": ["drop"], "data.train_limit": [None],
    "data.test_limit": [None], "data.channel_order": ["rgb"],
    "data.augment.brightness": [0], "data.augment.contrast": [0], "data.augment.saturation": [0],
    "data.augment.hue": [0], "data.augment.rotation": [0], "data.augment.policy": ["none"],
    "data.augment.erasing": [0], "data.augment.cutout": [0], "data.mix.mixup": [0], "data.mix.cutmix": [0],
    "loss.type": ["softmax_cross_entropy"], "loss.class_weights": [[]],
    "train.precision": ["auto", "f32"], "train.sync_bn": [False], "train.ema_decay": [0], "train.steps": [None],
    "train.early_stopping": [None],
    "optimizer.type": ["sgd"], "optimizer.clip_norm": [0], "optimizer.clip_value": [0], "optimizer.groups": [[]],
    "schedule.type": ["cosine", "multistep"], "schedule.start": [None, 1], "schedule.restart_epochs": [None, 0],
    "schedule.phases": [[]], "schedule.plateau": [None],
}  # fmt: skip


def read_config(run):
    config = yaml.safe_load((Path(run) / "config.yaml").read_text(encoding="utf-8"))
    for path, allowed in EXPECTED.items():
        value = config
        for key in path.split("."):
            value = None if value is None else value.get(key)
        if value not in allowed:
            sys.exit(f"{run}/config.yaml: {path} is {value}, which is not written here")
    if "micro" not in config["batch"]:
        sys.exit(f"{run}/config.yaml: batch.micro is not given; start Convoy with batch.micro=N")
    return config


def read_images(path, pattern):
    """Pixels u8 [n,3,32,32] and labels of CIFAR-10's binaries, in the order of their names."""
    files = sorted(Path(path).rglob(pattern))
    records = numpy.concatenate([numpy.fromfile(file, numpy.uint8).reshape(-1, 3073) for file in files])
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(records[:, 0]).long()


def augment(pixels, options):
    """Each image by itself: mirrored by chance, then moved by up to `pad_crop` pixels both ways; black where it was not."""
    n, _, side, _ = pixels.shape
    flipped = torch.rand(n) < options["flip"]
    pixels = torch.where(flipped[:, None, None, None], pixels.flip(3), pixels)
    most = options["pad_crop"]
    padded = F.pad(pixels, (most, most, most, most)).permute(0, 2, 3, 1)
    rows, columns = (torch.randint(2 * most + 1, (n, 1)) + torch.arange(side) for _ in range(2))
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def normalize(pixels, data):
    mean, std = (torch.tensor(data[key])[:, None, None] for key in ("mean", "std"))
    return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def make_network():
    network = CifarResNet(20)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network.to(memory_format=torch.channels_last)


def make_optimizer(network, options):
    matrices = [it for it in network.parameters() if it.ndim > 1]
    vectors = [it for it in network.parameters() if it.ndim == 1]
    decay = options["weight_decay"]
    groups = [{"params": matrices, "weight_decay": decay},
              {"params": vectors, "weight_decay": decay if options["decay_vectors"] else 0}]  # fmt: skip
    return torch.optim.SGD(groups, lr=options["learning_rate"], momentum=options["momentum"],
                           nesterov=options["nesterov"], fused=True)  # fmt: skip


def learning_rate(config, step, steps, steps_per_epoch):
    """As core/train/schedule.cpp."""
    schedule, rate = config["schedule"], config["optimizer"]["learning_rate"]
    warmup = round(schedule["warmup_epochs"] * steps_per_epoch)
    if step < warmup:
        start = schedule["warmup_start"]
        return rate * (start + (1 - start) * (step + 1) / warmup)
    if schedule["type"] == "multistep":
        return rate * schedule["gamma"] ** sum(round(it * steps_per_epoch) <= step for it in schedule["milestones"])
    final = schedule["final"]
    return rate * (final + (1 - final) * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2)


def set_momentum(network, part, parts, momentum=0.1):
    """So that the running statistics take `momentum` of the mean of all parts, whose last is `parts` - 1."""
    share = momentum / parts
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = share / (1 - share * (parts - 1 - part))


def train_step(network, optimizer, images, labels, config):
    """The loss and the accuracy before the update."""
    rows, micro = len(images), config["batch"]["micro"]
    smoothing = config["loss"]["label_smoothing"]
    optimizer.zero_grad()
    loss, correct = 0, 0
    for part, (x, y) in enumerate(zip(images.split(micro), labels.split(micro))):
        set_momentum(network, part, rows // micro)
        logits = network(x)
        part_loss = F.cross_entropy(logits, y, label_smoothing=smoothing, reduction="sum") / rows
        part_loss.backward()
        loss += part_loss.item()
        correct += (logits.argmax(1) == y).sum().item()
    optimizer.step()
    return loss, correct / rows


@torch.no_grad()
def evaluate(network, images, labels):
    network.eval()
    logits = torch.cat([network(x) for x in images.split(256)])
    network.train()
    return {"loss": F.cross_entropy(logits, labels).item(), "correct": (logits.argmax(1) == labels).sum().item(),
            "images": len(labels)}  # fmt: skip


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    config = read_config(sys.argv[1])
    data, train, batch = config["data"], config["train"], config["batch"]["global"]
    torch.manual_seed(config["experiment"]["seed"])
    torch.set_num_threads(os.cpu_count())
    pixels, labels = read_images(data["path"], "data_batch_*.bin")
    test_pixels, test_labels = read_images(data["path"], "test_batch.bin")
    test_images = normalize(test_pixels, data)
    network = make_network()
    optimizer = make_optimizer(network, config["optimizer"])
    print(f"{sum(it.numel() for it in network.parameters()):,} parameters, {len(labels):,} training images, "
          f"{len(test_labels):,} test images, seed {config['experiment']['seed']}")  # fmt: skip

    steps_per_epoch = len(labels) // batch
    steps = train["epochs"] * steps_per_epoch
    with open(sys.argv[2], "w", encoding="utf-8", buffering=1) as log:
        for step in range(steps):
            begin = time.perf_counter()
            epoch, at = divmod(step, steps_per_epoch)
            if at == 0:
                order = torch.randperm(len(labels))
            rows = order[at * batch : (at + 1) * batch]
            rate = learning_rate(config, step, steps, steps_per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate
            images = normalize(augment(pixels[rows], data["augment"]), data)
            loss, accuracy = train_step(network, optimizer, images, labels[rows], config)
            done = step + 1
            if done % train["log_every_steps"] == 0 or done == steps:
                event = {"event": "step", "step": done, "epoch": epoch, "loss": loss, "accuracy": accuracy,
                         "learning_rate": rate, "step_seconds": time.perf_counter() - begin}  # fmt: skip
                log.write(json.dumps(event) + "\n")
            if done % (train["eval_every_epochs"] * steps_per_epoch) == 0 or done == steps:
                result = evaluate(network, test_images, test_labels)
                log.write(json.dumps({"event": "test", "step": done} | result) + "\n")
                print(f"epoch {epoch + 1}  step {done}/{steps}  loss {loss:.4f}  test loss {result['loss']:.4f}, "
                      f"top-1 {result['correct'] / result['images']:.2%}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
