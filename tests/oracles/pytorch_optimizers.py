"""Prints the literals of tests/core/train/{optimizer,schedule}_test.cpp: what torch.optim does in ten steps.

Two weights start at (1, -2).  In step t = 0…9 the gradient of weight i is weight_i / 2 + ((7 t + 3 i) mod 5 - 2) / 4,
in f32.  Run with any Python that has PyTorch.
"""

import torch
from torch.optim import lr_scheduler

STEPS = 10
OPTIMIZERS = {
    "sgd": lambda w: torch.optim.SGD(w, lr=0.1),
    "momentum": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9),
    "nesterov": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, nesterov=True),
    "sgd_decay": lambda w: torch.optim.SGD(w, lr=0.1, weight_decay=0.05),
    "nesterov_decay": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05),
    "adam": lambda w: torch.optim.Adam(w, lr=0.1),
    "adamw": lambda w: torch.optim.AdamW(w, lr=0.1, weight_decay=0.05),
    "rmsprop": lambda w: torch.optim.RMSprop(w, lr=0.1),
    "rmsprop_momentum_decay": lambda w: torch.optim.RMSprop(w, lr=0.01, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=0.05),
    "clip_norm": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, weight_decay=0.05),
    "clip_value": lambda w: torch.optim.Adam(w, lr=0.1, weight_decay=0.05),
    "adam_decay": lambda w: torch.optim.Adam(w, lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.05),
}
SCHEDULES = {
    "step": lambda o: lr_scheduler.StepLR(o, step_size=3, gamma=0.5),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=9, eta_min=0.04),
    "multistep": lambda o: lr_scheduler.MultiStepLR(o, milestones=[2, 3, 7], gamma=0.5),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, gamma=0.9),
    "polynomial": lambda o: lr_scheduler.PolynomialLR(o, total_iters=8, power=2.0),
    "line": lambda o: lr_scheduler.LinearLR(o, start_factor=0.25, end_factor=0.75, total_iters=4),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=2, T_mult=2, eta_min=0.04),
    "restarts_alike": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=4),
    "one_cycle": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.4, total_steps=11, div_factor=25, final_div_factor=1e4),
    "one_cycle_later": lambda o: lr_scheduler.OneCycleLR(
        o, max_lr=0.4, total_steps=11, pct_start=0.5, div_factor=5, final_div_factor=10
    ),
    "phases": lambda o: lr_scheduler.SequentialLR(
        o,
        [
            lr_scheduler.ConstantLR(o, factor=0.5, total_iters=100),
            lr_scheduler.CosineAnnealingLR(o, T_max=4),
            lr_scheduler.ConstantLR(o, factor=0.25, total_iters=100),
        ],
        milestones=[2, 6],
    ),
    "warmup": lambda o: lr_scheduler.LinearLR(o, start_factor=0.2, total_iters=5),
}


def gradient(weight, step):
    offsets = [((7 * step + 3 * i) % 5 - 2) / 4 for i in range(2)]
    return weight / 2 + torch.tensor(offsets)


def trajectory(name, make_optimizer):
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = make_optimizer([weight])
    for step in range(STEPS):
        weight.grad = gradient(weight.detach(), step)
        if name == "clip_norm":
            torch.nn.utils.clip_grad_norm_([weight], 0.5)
        if name == "clip_value":
            torch.nn.utils.clip_grad_value_([weight], 0.3)
        optimizer.step()
        yield weight.tolist()


def rates(make_scheduler):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    scheduler = make_scheduler(optimizer)
    for _ in range(STEPS):
        yield optimizer.param_groups[0]["lr"]
        optimizer.step()
        scheduler.step()


print(f"// torch {torch.__version__}")
for name, make in OPTIMIZERS.items():
    print(name, ", ".join(f"{{{a:.8g}F, {b:.8g}F}}" for a, b in trajectory(name, make)))
for name, make in SCHEDULES.items():
    print(name, ", ".join(f"{rate:.8g}F" for rate in rates(make)))
