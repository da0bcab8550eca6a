"""Prints the literals of tests/launcher/initializers_test.cpp: moments of what PyTorch's and Keras' initialisers draw.

For a convolution of 3x5 with 48 channels and 192 filters, drawn again and again: standard deviation, fourth moment as a
multiple of the squared variance (3 for a normal, 2.366 for one cut at two standard deviations, 1.8 for a uniform), largest |w|
as a multiple of the standard deviation (Keras' backend of PyTorch lets a few in a million by; the cut is at 2.27).
"""

import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import torch

FILTERS, CHANNELS, KERNEL, TIMES = 192, 48, (3, 5), 20
init, keras_init = torch.nn.init, keras.initializers


def torch_layer(change=None):
    torch.manual_seed(0)
    for _ in range(TIMES):
        layer = torch.nn.Conv2d(CHANNELS, FILTERS, KERNEL)
        if change:
            change(layer.weight)
        yield layer.weight.detach().numpy()


def keras_layer(make):
    for seed in range(TIMES):
        yield np.asarray(make(seed)(KERNEL + (CHANNELS, FILTERS)).cpu())


DRAWN = {
    "pytorch": torch_layer(),
    "kaiming_normal": torch_layer(lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu")),
    "kaiming_normal_fan_out": torch_layer(lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu")),
    "kaiming_normal_fan_in": torch_layer(lambda w: init.kaiming_normal_(w, nonlinearity="relu")),
    "kaiming_uniform": torch_layer(lambda w: init.kaiming_uniform_(w, nonlinearity="relu")),
    "kaiming_uniform_fan_in": torch_layer(lambda w: init.kaiming_uniform_(w, nonlinearity="relu")),
    "kaiming_uniform_fan_out": torch_layer(lambda w: init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu")),
    "xavier_normal": torch_layer(init.xavier_normal_),
    "xavier_uniform": torch_layer(init.xavier_uniform_),
    "glorot_normal": keras_layer(lambda seed: keras_init.GlorotNormal(seed)),
    "glorot_uniform": keras_layer(lambda seed: keras_init.GlorotUniform(seed)),
    "he_normal": keras_layer(lambda seed: keras_init.HeNormal(seed)),
    "he_uniform": keras_layer(lambda seed: keras_init.HeUniform(seed)),
    "lecun_normal": keras_layer(lambda seed: keras_init.LecunNormal(seed)),
    "lecun_uniform": keras_layer(lambda seed: keras_init.LecunUniform(seed)),
    "{normal: 0.02}": torch_layer(lambda w: init.normal_(w, 0, 0.02)),
    "{truncated_normal: 0.02}": keras_layer(lambda seed: keras_init.TruncatedNormal(stddev=0.02, seed=seed)),
    "{uniform: 0.3}": keras_layer(lambda seed: keras_init.RandomUniform(-0.3, 0.3, seed=seed)),
    "truncated_normal": keras_layer(lambda seed: keras_init.TruncatedNormal(seed=seed)),
    "uniform": keras_layer(lambda seed: keras_init.RandomUniform(seed=seed)),
}
for name, drawn in DRAWN.items():
    w = np.stack(list(drawn)).astype(np.float64)
    deviation = np.sqrt((w**2).mean())
    print(f'      {{"{name}", {deviation:.5f}, {(w**4).mean() / deviation**4:.3f}, {np.abs(w).max() / deviation:.2f}}},')
