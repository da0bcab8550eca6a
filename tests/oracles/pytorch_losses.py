"""Prints the literals of tests/reference/losses_test.cpp: what torch.nn's losses say of three rows of four classes.

The second row is mixed of two images, 0.75 of class 3 and 0.25 of class 0.  In f64.  Run with any Python that has
PyTorch.
"""

import torch
from torch import nn

LOGITS = [[1.0, -2.0, 0.5, 3.0], [0.25, 4.0, -1.5, 2.0], [-0.5, 0.0, 0.75, -3.0]]
TARGETS = [[0, 0, 1, 0], [0.25, 0, 0, 0.75], [0, 1, 0, 0]]
WEIGHTS = torch.tensor([0.5, 2.0, 0.0, 1.25], dtype=torch.float64)


def smoothed(targets, smoothing):
    """timm.loss.BinaryCrossEntropy and timm.data.mixup: off = smoothing / classes, on = 1 - smoothing + off."""
    return targets * (1 - smoothing) + smoothing / targets.shape[1]


TEACHER = torch.tensor([[2.0, -1.0, 0.0, 1.0], [0.5, 0.5, -2.0, 3.0], [-1.0, 1.5, 0.25, 0.0]], dtype=torch.float64)


def distillation(x, targets, weight, temperature, smoothing):
    """Hinton, Vinyals and Dean 2015, as in RepDistiller (Tian, Krishnan and Isola 2020)."""
    of_labels = nn.CrossEntropyLoss(label_smoothing=smoothing)(x, targets)
    of_teacher = nn.KLDivLoss(reduction="batchmean")(
        nn.functional.log_softmax(x / temperature, 1), nn.functional.softmax(TEACHER / temperature, 1)
    )
    return (1 - weight) * of_labels + weight * temperature**2 * of_teacher


LOSSES = {
    "softmax": lambda x, t: nn.CrossEntropyLoss()(x, t),
    "softmax_smoothed": lambda x, t: nn.CrossEntropyLoss(label_smoothing=0.1)(x, t),
    "softmax_weighted": lambda x, t: nn.CrossEntropyLoss(weight=WEIGHTS)(x, t),
    "softmax_weighted_smoothed": lambda x, t: nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.3)(x, t),
    "distillation": lambda x, t: distillation(x, t, 0.9, 4, 0),
    "distillation_smoothed": lambda x, t: distillation(x, t, 0.25, 0.5, 0.1),
    "binary": lambda x, t: nn.BCEWithLogitsLoss()(x, t),
    "binary_smoothed": lambda x, t: nn.BCEWithLogitsLoss()(x, smoothed(t, 0.1)),
    "squared": lambda x, t: nn.MSELoss()(x, t),
}

for name, loss in LOSSES.items():
    x = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    value = loss(x, torch.tensor(TARGETS, dtype=torch.float64))
    value.backward()
    gradient = ", ".join(repr(g) for g in x.grad.flatten().tolist())
    print(f"// {name}\n{value.item()!r},\n{{{gradient}}}")

# Of class numbers PyTorch divides by the sum of the weights of the rows, not by their number.
x, rows = torch.tensor(LOGITS, dtype=torch.float64), torch.tensor([1, 3, 0])
mean = nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.3)(x, rows) * WEIGHTS[rows].sum() / len(rows)
ours = nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.3)(x, nn.functional.one_hot(rows, 4).double())
assert torch.isclose(mean, ours)
