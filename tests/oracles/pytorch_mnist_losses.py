"""Prints the literals of tests/layers/trajectory_test.cpp: the first ten losses of a tiny network in PyTorch.

conv 3x3 (8 filters), relu, max_pool 2, flatten in N,H,W,C order, linear (5); cross entropy; SGD with momentum; one fixed
batch of 16 images 8x8x2.  Weights, pixels and labels are given by formulas that both sides compute, so nothing has to be
stored but the losses.  Run with any Python that has PyTorch.
"""

import torch

torch.set_num_threads(1)


def weights(name, *shape):
    """Element i, counted in Convoy's order (O,H,W,I), is spread by a multiplicative hash in [-0.25, 0.25)."""
    count = torch.Size(shape).numel()
    hashes = [((i + 1000 * len(name)) * 2654435761) % 2**32 for i in range(count)]
    return torch.tensor([(h / 2**32 - 0.5) / 2 for h in hashes], dtype=torch.float64).reshape(shape)


def batch():
    pixels = torch.tensor([[[[(37 * n + 11 * h + 7 * w + 90 * c + 3 * n * h * w) % 256 for c in range(2)]
                             for w in range(8)] for h in range(8)] for n in range(16)], dtype=torch.float64)  # fmt: skip
    labels = torch.tensor([(n * n + 3 * n) % 5 for n in range(16)])
    return ((pixels / 255 - 0.5) / 0.25).permute(0, 3, 1, 2), labels


def losses(dtype):
    convolution, linear = torch.nn.Conv2d(2, 8, 3), torch.nn.Linear(72, 5)
    with torch.no_grad():
        convolution.weight.copy_(weights("conv.weight", 8, 3, 3, 2).permute(0, 3, 1, 2))
        convolution.bias.copy_(weights("conv.bias", 8))
        linear.weight.copy_(weights("fc.weight", 5, 72))
        linear.bias.copy_(weights("fc.bias", 5))
    model = torch.nn.ModuleList([convolution, linear]).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    images, labels = batch()
    images = images.to(dtype)
    for _ in range(10):
        optimizer.zero_grad()
        features = torch.nn.functional.max_pool2d(convolution(images).relu(), 2)
        logits = linear(features.permute(0, 2, 3, 1).flatten(1))
        loss = torch.nn.functional.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        yield loss.item()


print(f"// torch {torch.__version__}")
for dtype in (torch.float32, torch.float64):
    print(dtype, ", ".join(f"{loss:.8f}" for loss in losses(dtype)))
