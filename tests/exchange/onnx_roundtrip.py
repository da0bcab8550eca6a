"""torch → ONNX → Convoy → ONNX → onnxruntime: do the logits stay the same?

Exports torchvision's networks, with random weights and statistics, by both of PyTorch's exporters, has Convoy convert each
file to ONNX again, checks the result with onnx.checker and runs both files with onnxruntime on the same images.

  python tests/exchange/onnx_roundtrip.py [--convert "build/release/convoy convert"] [--keep DIRECTORY] [NETWORK …]

Needs torch, torchvision, onnx, onnxscript and onnxruntime.  Prints a row for each file; exits with 1 if one differs by
more than 1e-4 of the largest logit.
"""

import argparse
import logging
import shlex
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision

NETWORKS = ["resnet18", "resnet50", "vgg16", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "densenet121",
            "squeezenet1_1", "googlenet", "regnet_y_400mf", "convnext_tiny"]
FOLDED = {"opset_version": 13, "dynamo": False}
PLAIN = {"opset_version": 17, "dynamo": False, "do_constant_folding": False,
         "training": torch.onnx.TrainingMode.PRESERVE}
EXPORTS = {
    "torchscript 13, folded": FOLDED,
    "torchscript 17": PLAIN,
    "dynamo": {"dynamo": True, "external_data": False},
}
MOST_DIFFERENCE = 1e-4


def network(name):
    torch.manual_seed(1)
    options = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    model = getattr(torchvision.models, name)(weights=None, num_classes=10, **options).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low, high in ((module.weight.data, 0.5, 1.5), (module.bias.data, -0.2, 0.2),
                                      (module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 1.5)):
                tensor.uniform_(low, high)
    return model


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(path, options)


def compare(model, images, export, convert, directory):
    """The difference of the logits, relative to the largest one, or what went wrong."""
    theirs, ours = str(directory / "torch.onnx"), str(directory / "convoy.onnx")
    dynamic = {} if export.get("dynamo") else {"input_names": ["image"], "dynamic_axes": {"image": {0: "N"}}}
    try:
        torch.onnx.export(model, (images,), theirs, verbose=False, **export, **dynamic)
    except Exception as error:  # noqa: BLE001: not every exporter knows every network
        return f"not exported: {str(error).strip().splitlines()[0][:60]}"
    result = subprocess.run([*convert, theirs, ours], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        return f"exit {result.returncode}: {result.stderr.strip().splitlines()[-1]}"
    onnx.checker.check_model(ours, full_check=True)
    before, after = session(theirs), session(ours)
    expected = before.run(None, {before.get_inputs()[0].name: images.numpy()})[0]
    found = after.run(None, {"image": images.numpy()})[0]
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--convert", default="build/release/convoy convert")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    torch.set_num_threads(2)

    failed = 0
    print(f"torch {torch.__version__}, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        for name in arguments.networks:
            model = network(name)
            size = 224 if name.startswith(("vgg", "alexnet")) else 96
            images = torch.randn(2, 3, size, size)
            for label, export in EXPORTS.items():
                directory = (arguments.keep or Path(temporary)) / f"{name}-{label.split()[0]}{len(export)}"
                directory.mkdir(parents=True, exist_ok=True)
                difference = compare(model, images, export, shlex.split(arguments.convert), directory)
                bad = isinstance(difference, str) or not difference <= MOST_DIFFERENCE
                failed += bad
                text = difference if isinstance(difference, str) else f"{difference:.1e}{'  DIFFERENT' if bad else ''}"
                print(f"{name:20} {label:24} {text}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
