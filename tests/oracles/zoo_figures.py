"""Prints the table in tests/launcher/zoo_test.cpp: parameters and multiply-adds of each network, from torchvision and Keras.

    pip install torch torchvision keras && KERAS_BACKEND=torch python3 tests/oracles/zoo_figures.py

Multiply-adds are those of convolutions and linear layers for one image, counted by hooks; parameters do not include running
statistics.  Versions that it was made with: torch 2.15.0, torchvision 0.29.2, keras 3.15.0.
"""

import math

import torch
from torch import nn

from zoo_networks import NETWORKS


def torch_figures(network, side):
    total = 0

    def count(module, inputs, output):
        nonlocal total
        per_output = module.weight[0].numel()
        total += output.numel() * per_output

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, side, side))
    return sum(parameter.numel() for parameter in network.parameters()), total


def keras_figures(network):
    total = 0
    for layer in network.layers:
        if type(layer).__name__ in ("Conv2D", "Dense"):
            output = math.prod(layer.output.shape[1:])
            total += output * math.prod(layer.kernel.shape[:-1])
    return sum(math.prod(weight.shape) for weight in network.trainable_weights), total


def main():
    from keras import applications

    figures = {name: torch_figures(make(), side) for name, (make, side) in NETWORKS.items()}
    for name, make in (("keras-vgg16", applications.VGG16), ("keras-resnet50", applications.ResNet50),
                       ("keras-resnet101", applications.ResNet101), ("keras-resnet152", applications.ResNet152)):
        figures[name] = keras_figures(make(weights=None))
    for name, (parameters, multiply_adds) in sorted(figures.items()):
        print(f'    {{"{name}", {parameters}, {multiply_adds}}},')


main()
