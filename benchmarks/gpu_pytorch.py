"""gpu_pytorch.py NETWORK WAY: PyTorch's images per second of a training step, as one line of JSON; see gpu.py.

Ways: eager, graph (the step as one CUDA graph), compile, max-autotune.  All: bf16 autocast, channels_last, fused SGD.
"""

import argparse
import json
import time

import torch
from torch import nn


def mnist_example(channels, classes):
    """The network of PyTorch's examples/mnist; its log_softmax is part of cross_entropy here."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, classes))  # fmt: skip


class Block(nn.Module):
    """He et al. 2015; the stride is that of the 3x3 convolution (v1.5)."""

    def __init__(self, inputs, width, stride, expansion):
        super().__init__()
        outputs = width * expansion
        if expansion == 1:
            shapes = [(inputs, width, 3, stride), (width, width, 3, 1)]
        else:
            shapes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        layers = [layer for shape in shapes for layer in (*conv_bn(*shape), nn.ReLU(inplace=True))]
        self.layers = nn.Sequential(*layers[:-1])
        projects = stride != 1 or inputs != outputs
        self.shortcut = nn.Sequential(*conv_bn(inputs, outputs, 1, stride)) if projects else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.layers(x) + self.shortcut(x))


def conv_bn(inputs, outputs, kernel, stride):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)


def resnet(blocks, expansion):
    def make(channels, classes):
        layers = [*conv_bn(channels, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
        inputs = 64
        for stage, count in enumerate(blocks):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                layers.append(Block(inputs, 64 << stage, stride, expansion))
                inputs = (64 << stage) * expansion
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))

    return make


def vgg16(channels, classes):
    layers = []
    for count, outputs in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU(inplace=True)]
            channels = outputs
        layers.append(nn.MaxPool2d(2))
    head = [nn.Flatten(), nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 4096),
            nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, classes)]  # fmt: skip
    return nn.Sequential(*layers, *head)


NETWORKS = {
    "mnist-pytorch": mnist_example,
    "resnet18": resnet([2, 2, 2, 2], 1),
    "resnet50": resnet([3, 4, 6, 3], 4),
    "vgg16": vgg16,
}


class Training:
    def __init__(self, options):
        torch.manual_seed(1)
        batch, channels, height, width = options.shape
        self.device, self.way = options.device, options.way
        self.model = NETWORKS[options.network](channels, options.classes)
        self.model = self.model.to(self.device, memory_format=torch.channels_last).train()
        self.images = torch.randn(batch, channels, height, width, device=self.device)
        self.images = self.images.to(memory_format=torch.channels_last)
        self.labels = torch.randint(options.classes, (batch,), device=self.device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4, fused=True)
        modes = {"compile": "default", "max-autotune": "max-autotune"}
        self.compute = torch.compile(self.loss, mode=modes[self.way]) if self.way in modes else self.loss

    def loss(self):
        # What autocast keeps from step to step must not outlive a capture.
        with torch.autocast(self.device, dtype=torch.bfloat16, cache_enabled=self.way != "graph"):
            return nn.functional.cross_entropy(self.model(self.images), self.labels)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        self.compute().backward()
        self.optimizer.step()

    def captured_step(self):
        """The step as a function that replays it."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            self.compute().backward()
            self.optimizer.step()
        return graph.replay


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("way", choices=["eager", "graph", "compile", "max-autotune"])
    parser.add_argument("--shape", nargs=4, type=int, required=True, metavar=("N", "C", "H", "W"))
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--repeat", type=int, default=50)
    parser.add_argument("--device", default="cuda")
    return parser.parse_args()


def main():
    options = parse_options()
    torch.backends.cudnn.benchmark = True
    training = Training(options)
    step = training.captured_step() if options.way == "graph" else training.step
    for _ in range(min(10, options.repeat)):
        step()
    wait(options.device)
    begin = time.perf_counter()
    for _ in range(options.repeat):
        step()
    wait(options.device)
    seconds = (time.perf_counter() - begin) / options.repeat
    cuda = options.device == "cuda"
    print(json.dumps({
        "images_per_second": options.shape[0] / seconds,
        "seconds_per_step": seconds,
        "parameters": sum(it.numel() for it in training.model.parameters()),
        "peak_bytes_allocated": torch.cuda.max_memory_allocated() if cuda else None,
        "device": torch.cuda.get_device_name() if cuda else "CPU",
        "libraries": f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, "
                     f"cuDNN {torch.backends.cudnn.version() if cuda else None}",
    }))  # fmt: skip


if __name__ == "__main__":
    main()
