"""Prints the literals of tests/core/train/watch_test.cpp: what ReduceLROnPlateau of PyTorch and EarlyStopping of Keras
do with lists of values."""

import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

LOSSES = [2.0, 1.5, 1.4999, 1.49, 1.6, 1.4895, 1.48, 1.47999, 1.7, 1.8, 1.9, 1.2, 1.21, 1.2, 1.19999, 1.3, 1.3, 1.3, 1.3, 1.1,
          1.3, 1.3, 1.3, 1.3, 1.3, 1.3]
ACCURACIES = [0.1, 0.3, 0.30001, 0.29, 0.31, 0.3101, 0.4, 0.4, 0.39, 0.41, 0.405, 0.4101, 0.41, 0.41, 0.5, 0.2, 0.3, 0.4]
PLATEAUS = [
    ("kLoss", dict(factor=0.1, patience=2)),
    ("kLoss", dict(factor=0.5, patience=0, threshold=0.01, threshold_mode="abs", cooldown=2)),
    ("kLoss", dict(factor=0.3, patience=1, threshold=0.1, cooldown=1, min_lr=0.004)),
    ("kAccuracy", dict(factor=0.7, patience=1, threshold=0.02)),
    ("kAccuracy", dict(factor=0.2, patience=0, threshold=0.005, threshold_mode="abs", min_lr=0.001)),
]
STOPS = [("kLoss", 0, 0.0), ("kLoss", 1, 0.0), ("kLoss", 3, 0.0), ("kLoss", 4, 0.0), ("kLoss", 2, 0.1), ("kLoss", 9, 0.5),
         ("kAccuracy", 1, 0.0), ("kAccuracy", 2, 0.0), ("kAccuracy", 2, 0.02), ("kAccuracy", 5, 0.0)]


def values(metric):
    return LOSSES if metric == "kLoss" else ACCURACIES


def rates(metric, settings):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    mode = "min" if metric == "kLoss" else "max"
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode=mode, **settings)
    for value in values(metric):
        plateau.step(value)
        yield optimizer.param_groups[0]["lr"]


def stops_after(metric, patience, min_delta):
    """Evaluations until Keras stops; 0: it does not."""
    name = "val_loss" if metric == "kLoss" else "val_accuracy"
    callback = keras.callbacks.EarlyStopping(name, min_delta, patience, mode="min" if metric == "kLoss" else "max")
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    callback.set_model(model)
    callback.on_train_begin()
    model.stop_training = False
    for epoch, value in enumerate(values(metric)):
        callback.on_epoch_end(epoch, {name: value})
        if model.stop_training:
            return epoch + 1
    return 0


print("Losses", LOSSES, "\nAccuracies", ACCURACIES)
for metric, settings in PLATEAUS:
    print(metric, settings, ", ".join(repr(rate) for rate in rates(metric, settings)), sep="\n  ")
for stop in STOPS:
    print(*stop, stops_after(*stop))
