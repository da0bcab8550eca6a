"""Prints the constants of tests/launcher/exchange/onnx_values_test.cpp: a small network as PyTorch exports it to ONNX, and
its logits by onnxruntime for images of sin(0.37 i).

python onnx_network.py    needs torch, onnx and onnxruntime
"""

import base64
import io
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

warnings.filterwarnings("ignore")


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4, eps=1e-3)
        self.depthwise = nn.Conv2d(4, 4, (3, 1), padding=(1, 0), groups=4)
        self.group = nn.GroupNorm(2, 4)
        self.mix = nn.Conv2d(8, 4, 1)
        self.top = nn.Linear(4 * 4 * 4, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        y = nn.functional.silu(self.group(self.depthwise(x)))
        x = self.mix(torch.cat([x, y], 1)) + y
        x = nn.functional.max_pool2d(nn.functional.gelu(x), 2, 2, ceil_mode=True)
        x = nn.functional.avg_pool2d(nn.functional.relu6(x), 3, 1, 1)
        x = nn.functional.interpolate(nn.functional.leaky_relu(x), scale_factor=2, mode="bilinear")
        x = nn.functional.adaptive_avg_pool2d(x, 4)
        return self.top(torch.flatten(x, 1))


def lines(text):
    for i in range(0, len(text), 114):
        print(f'    "{text[i:i + 114]}"')


torch.manual_seed(1)
model = Network().eval()
for parameter in [*model.parameters(), model.norm.running_mean]:
    parameter.data.uniform_(-0.7, 0.7)
model.norm.running_var.uniform_(0.5, 1.5)
images = torch.from_numpy(np.sin(0.37 * np.arange(2 * 3 * 13 * 16)).astype(np.float32)).reshape(2, 3, 13, 16)
file = io.BytesIO()
torch.onnx.export(model, (images,), file, dynamo=False, opset_version=13, do_constant_folding=False,
                  training=torch.onnx.TrainingMode.PRESERVE, dynamic_axes={"x": {0: "N"}}, input_names=["x"])
onnx.checker.check_model(onnx.load_from_string(file.getvalue()))
logits = onnxruntime.InferenceSession(file.getvalue()).run(None, {"x": images.numpy()})[0]
lines(base64.b64encode(file.getvalue()).decode())
print(", ".join(f"{value:.7g}" for value in logits.ravel()))
