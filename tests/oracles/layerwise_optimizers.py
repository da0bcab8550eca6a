"""Prints tests/core/train/layerwise_trajectories.h: what LARS, LAMB and Muon do in ten steps, in f64.

LARS is You et al. 2017 (arXiv:1708.03888), LAMB You et al. 2019 (arXiv:1904.00962), Muon that of Keller Jordan's
airbench94_muon.py, and the average of weights and statistics torch's AveragedModel with use_buffers.  Tensors are
[rows, columns]; one row is a vector.  Run with any Python that has NumPy; with PyTorch, the average is compared with
torch's.
"""

import numpy as np

STEPS = 10
# Two filters, one wide and one tall; one that starts as zeros; one without gradients; vectors.
SHAPES = {"wide": (3, 4), "bias": (1, 3), "tall": (5, 3), "zero": (2, 3), "still": (2, 2), "norm": (1, 2)}
FILTERS = ("wide", "tall", "zero", "still")
DECAY = 0.05
RATE_SCALE = {"tall": 0.5}


def start(name):
    rows, columns = SHAPES[name]
    if name == "zero":
        return np.zeros((rows, columns))
    i = np.arange(rows * columns, dtype=np.int64)
    return (((i * i * 13 + 7 * i + 3) % 29 - 14) / 16.0).reshape(rows, columns)


def gradient(name, weight, step):
    if name == "still":
        return np.zeros_like(weight)
    i = np.arange(weight.size, dtype=np.int64)
    return weight / 4 + (((i * i * 7 + 3 * i + 5 * step) % 23 - 11) / 16.0).reshape(weight.shape)


def rate(name, step):
    return float(np.float32(0.25) / np.float32(1 + step)) * RATE_SCALE.get(name, 1)


def is_vector(name):
    return SHAPES[name][0] == 1


def norm(x):
    return np.sqrt(np.sum(x * x))


def lars(name, w, g, state, step):
    momentum, trust, epsilon = 0.9, 0.02, 1e-8
    decay = 0 if is_vector(name) else DECAY
    local = 1.0
    if not is_vector(name) and norm(w) > 0 and norm(g) > 0:
        local = trust * norm(w) / (norm(g) + decay * norm(w) + epsilon)
    state["v"] = momentum * state.get("v", 0) + rate(name, step) * local * (g + decay * w)
    return w - state["v"]


def lamb(name, w, g, state, step):
    beta1, beta2, epsilon = 0.9, 0.999, 1e-6
    decay = 0 if is_vector(name) else DECAY
    state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g * g
    r = state["m"] / (1 - beta1 ** (step + 1)) / (np.sqrt(state["v"] / (1 - beta2 ** (step + 1))) + epsilon) + decay * w
    ratio = norm(w) / norm(r) if not is_vector(name) and norm(w) > 0 and norm(r) > 0 else 1.0
    return w - rate(name, step) * ratio * r


def orthogonal(x, iterations):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / (norm(x) + 1e-7)
    if x.shape[0] > x.shape[1]:
        x = x.T
        turned = True
    else:
        turned = False
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if turned else x


def muon(momentum, nesterov, iterations, renormalize, decay):
    def step_of(name, w, g, state, step):
        if name not in FILTERS:
            g = g + (0 if is_vector(name) else decay) * w
        state["m"] = momentum * state.get("m", 0) + g
        u = g + momentum * state["m"] if nesterov else state["m"]
        if name not in FILTERS:
            return w - rate(name, step) * u
        scale = np.sqrt(len(w)) / norm(w) if renormalize and norm(w) > 0 else 1.0
        return (1 - rate(name, step) * decay) * scale * w - rate(name, step) * orthogonal(u, iterations)

    return step_of


RULES = {
    "Lars": lars,
    "Lamb": lamb,
    "Muon": muon(0.6, True, 3, True, 0),
    "MuonWithDecay": muon(0.9, False, 4, False, DECAY),
}


def print_table(name, rows):
    print(f"inline constexpr double k{name}[][{len(rows[0])}] = {{")
    for row in rows:
        print("    {" + ", ".join(f"{x:.12g}" for x in row) + "},")
    print("};")


def trajectory(rule):
    weights = {name: start(name) for name in SHAPES}
    states = {name: {} for name in SHAPES}
    lasts = []
    for step in range(STEPS):
        for name in SHAPES:
            weights[name] = rule(name, weights[name], gradient(name, weights[name], step), states[name], step)
        lasts.append([weights[name].flat[-1] for name in SHAPES])
    return weights, lasts


def averages(decay):
    """Of a weight that is s² / 8 - s after step s = 1 … 10, and 1 before; steps 4 and 7 are skipped."""
    average = 1.0
    for step in range(1, STEPS + 1):
        if step in (4, 7):
            continue
        average += (1 - decay) * (step * step / 8 - step - average)
        yield average


def check_with_torch(decay):
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
            self.register_buffer("statistic", torch.ones(1, dtype=torch.float64))

    model = Model()
    averaged = AveragedModel(model, avg_fn=get_ema_avg_fn(decay), use_buffers=True)
    averaged.update_parameters(model)  # its first call takes the weights as they are: those before the first step
    ours = averages(decay)
    for step in range(1, STEPS + 1):
        if step in (4, 7):
            continue
        with torch.no_grad():
            model.weight.fill_(step * step / 8 - step)
            model.statistic.fill_(step * step / 8 - step)
        averaged.update_parameters(model)
        wanted = next(ours)
        assert abs(averaged.module.weight.item() - wanted) < 1e-12
        assert abs(averaged.module.statistic.item() - wanted) < 1e-12


print("// Printed by tests/oracles/layerwise_optimizers.py, which says what of.")
print("#pragma once\n")
print("namespace convoy {\n")
print("// By step: the last element of each tensor.  Then all elements after the last step.")
for name, rule in RULES.items():
    weights, lasts = trajectory(rule)
    print_table(name + "Lasts", lasts)
    print_table(name + "All", [np.concatenate([weights[tensor].ravel() for tensor in SHAPES])])
print("\n// With decay 0.75; none for the steps that are skipped.")
print_table("Averages", [list(averages(0.75))])
print("\n}  // namespace convoy")
try:
    check_with_torch(0.75)
except ImportError:
    pass
