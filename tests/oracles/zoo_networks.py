"""The networks of configs/models as torch modules, with the same parameter names: torchvision's, and here those that it has not."""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models


def conv_norm(inputs, filters, kernel=3, stride=1):
    return nn.Conv2d(inputs, filters, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(filters)


class BasicBlock(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.conv1, self.bn1 = conv_norm(inputs, filters, stride=stride)
        self.conv2, self.bn2 = conv_norm(filters, filters)
        self.downsample = nn.Sequential(*conv_norm(inputs, filters, 1, stride)) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class CifarResNet(nn.Module):
    """He et al. 2015, section 4.2, with projection shortcuts."""

    def __init__(self, depth):
        super().__init__()
        times = (depth - 2) // 6
        self.conv1, self.bn1 = conv_norm(3, 16)
        stage = lambda inputs, filters, stride: nn.Sequential(
            BasicBlock(inputs, filters, stride), *(BasicBlock(filters, filters, 1) for _ in range(times - 1)))
        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.fc(x.mean((2, 3)))


class WideBlock(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1, self.bn2 = conv_norm(inputs, filters, stride=stride)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, filters, 1, stride, bias=False) if inputs != filters else None

    def forward(self, x):
        start = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(start))))
        return y + (x if self.shortcut is None else self.shortcut(start))


class WideResNet(nn.Module):
    """Zagoruyko and Komodakis 2016: WRN-28-10."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        stage = lambda inputs, filters, stride: nn.Sequential(
            WideBlock(inputs, filters, stride), *(WideBlock(filters, filters, 1) for _ in range(3)))
        self.block1, self.block2, self.block3 = stage(16, 160, 1), stage(160, 320, 2), stage(320, 640, 2)
        self.bn1 = nn.BatchNorm2d(640)
        self.fc = nn.Linear(640, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.block3(self.block2(self.block1(self.conv1(x))))))
        return self.fc(x.mean((2, 3)))


class AirbenchNorm(nn.BatchNorm2d):
    def __init__(self, channels):
        super().__init__(channels, eps=1e-12, momentum=0.4)
        del self.weight
        self.register_buffer("weight", torch.ones(channels), persistent=False)


class AirbenchGroup(nn.Module):
    def __init__(self, inputs, filters):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, padding="same", bias=False)
        self.norm1 = AirbenchNorm(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding="same", bias=False)
        self.norm2 = AirbenchNorm(filters)

    def forward(self, x):
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


def airbench():
    """github.com/KellerJordan/cifar10-airbench, airbench94, but for what the model file says it leaves out."""
    return nn.Sequential(nn.Conv2d(3, 24, 2), nn.GELU(), AirbenchGroup(24, 64), AirbenchGroup(64, 256),
                         AirbenchGroup(256, 256), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False))


def cifar_resnet18():
    """torchvision's, with the stem of github.com/kuangliu/pytorch-cifar and github.com/uoguelph-mlrg/Cutout."""
    network = models.resnet18(num_classes=10)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network


# By the name of the model file: how to make it, the side of its images.
NETWORKS = {
    "vgg11": (models.vgg11, 224), "vgg11_bn": (models.vgg11_bn, 224),
    "vgg13": (models.vgg13, 224), "vgg13_bn": (models.vgg13_bn, 224),
    "vgg16": (models.vgg16, 224), "vgg16_bn": (models.vgg16_bn, 224),
    "vgg19": (models.vgg19, 224), "vgg19_bn": (models.vgg19_bn, 224),
    "resnet18": (models.resnet18, 224), "resnet34": (models.resnet34, 224), "resnet50": (models.resnet50, 224),
    "resnet101": (models.resnet101, 224), "resnet152": (models.resnet152, 224),
    "mobilenet-v2": (models.mobilenet_v2, 224), "efficientnet-b0": (models.efficientnet_b0, 224),
    "densenet121": (models.densenet121, 224), "squeezenet1_0": (models.squeezenet1_0, 224),
    "squeezenet1_1": (models.squeezenet1_1, 224), "alexnet": (models.alexnet, 224),
    "cifar-resnet20": (lambda: CifarResNet(20), 32), "cifar-resnet32": (lambda: CifarResNet(32), 32),
    "cifar-resnet56": (lambda: CifarResNet(56), 32), "cifar-resnet110": (lambda: CifarResNet(110), 32),
    "cifar-resnet18": (cifar_resnet18, 32),
    "wide-resnet28-10": (WideResNet, 32), "airbench-cifar": (airbench, 32),
}  # fmt: skip
