"""ONNX files by PyTorch and by ONNX itself, run by Convoy's own kernels: are the logits those of onnxruntime?

  python tests/exchange/onnx_shipped.py [--convoy build/release/convoy] [--keep DIRECTORY] [--only PART] [WORD ...]

Four sets of files, of which WORDs choose those whose names contain one:
  torch    torchvision's networks with random weights and statistics, and flattened images that are joined, by each of
           PyTorch's exporters
  opset    one network in every opset from 13 on, by both exporters
  light    the networks that the package onnx ships (with random weights in the place of its constant ones)
  node     the operators that the package onnx tests: each with a linear layer behind it

Needs torch, torchvision, onnx, onnxscript and onnxruntime.  Prints a row for each file: the largest difference relative
to the largest logit, or "refused" with Convoy's reason (78).  Exits with 1 if a file differs by more than 1e-4, or ends
otherwise.
"""

import argparse
import copy
import glob
import json
import logging
import os
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
from onnx import TensorProto, helper, numpy_helper

MOST_DIFFERENCE = 1e-4
NETWORKS = ["resnet18", "resnet50", "vgg16", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "densenet121",
            "squeezenet1_1", "googlenet", "regnet_y_400mf", "convnext_tiny", "mnasnet1_0", "alexnet",
            "shufflenet_v2_x1_0", "inception_v3"]
FOLDED = {"opset_version": 13, "dynamo": False}
PLAIN = {"opset_version": 17, "dynamo": False, "do_constant_folding": False,
         "training": torch.onnx.TrainingMode.PRESERVE}
EXPORTS = {"torchscript 13": FOLDED, "torchscript 17, plain": PLAIN, "dynamo": {"dynamo": True}}
SCRIPT_OPSETS, DYNAMO_OPSETS = range(13, 24), range(18, 27)


# ---- Files


class Joined(torch.nn.Module):
    """Flattened images of several shapes, one behind the other, in front of one matrix."""

    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Conv2d(3, 4, 3, stride=9), torch.nn.Conv2d(3, 5, (5, 3), stride=(13, 8))
        self.norm = torch.nn.BatchNorm1d(4 * 7 * 7)
        self.fc = torch.nn.LazyLinear(10)

    def forward(self, x):
        a, b = self.norm(torch.relu(self.a(x)).flatten(1)), self.b(x).flatten(1)
        return self.fc(torch.cat([torch.relu(b), x.mean((2, 3)), a], 1))


def network(name):
    torch.manual_seed(1)
    if name == "joined":
        model = Joined()
        model(torch.zeros(2, 3, 64, 64))
    else:
        options = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
        model = getattr(torchvision.models, name)(weights=None, num_classes=10, **options)
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm2d, torch.nn.BatchNorm1d)):
            for tensor, low, high in ((module.weight.data, 0.5, 1.5), (module.bias.data, -0.2, 0.2),
                                      (module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 1.5)):
                tensor.uniform_(low, high)
    return model.eval()


def export(model, images, path, how):
    dynamic = {"external_data": False} if how["dynamo"] else {"input_names": ["image"],
                                                              "dynamic_axes": {"image": {0: "N"}}}
    torch.onnx.export(model, (images,), str(path), verbose=False, **how, **dynamic)


def torch_files(directory):
    for name in [*NETWORKS, "joined"]:
        model = None
        for label, how in EXPORTS.items():
            def make(path, name=name, how=how):
                nonlocal model
                model = model or network(name)
                size = {"vgg16": 224, "alexnet": 224, "inception_v3": 96}.get(name, 64)
                images = torch.randn(2, 3, size, size)
                export(model, images, path, how)
                return images.numpy()
            yield f"{name}, {label}", directory / f"{name}-{label.split(',')[0].replace(' ', '')}.onnx", make


def opset_files(directory):
    for name in ("mobilenet_v3_small", "regnet_y_400mf"):
        for dynamo, opsets in ((False, SCRIPT_OPSETS), (True, DYNAMO_OPSETS)):
            for opset in opsets:
                def make(path, name=name, dynamo=dynamo, opset=opset):
                    images = torch.randn(2, 3, 64, 64)
                    export(network(name), images, path, {"opset_version": opset, "dynamo": dynamo})
                    found = onnx.load(path).opset_import[0].version
                    if found != opset:
                        raise ValueError(f"the exporter writes opset {found} in its place")
                    return images.numpy()
                label = f"{name}, {'dynamo' if dynamo else 'torchscript'} {opset}"
                yield label, directory / f"{name}-{int(dynamo)}-{opset}.onnx", make


def with_weights(model):
    """The model with random weights where ConstantOfShape makes constant ones."""
    random = np.random.default_rng(1)
    graph = model.graph
    shapes = {it.name: numpy_helper.to_array(it) for it in graph.initializer}
    weights, nodes, positive = [], [], set()
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            positive.add(node.input[4])
    for node in graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in shapes:
            nodes.append(node)
            continue
        shape = shapes[node.input[0]].astype(int).tolist()
        fan_in = max(1, int(np.prod(shape[1:])))
        if node.output[0] in positive or len(shape) == 1:
            low, high = (0.5, 1.5) if node.output[0] in positive else (-0.2, 1.0)
            values = random.uniform(low, high, shape)
        else:
            values = random.normal(0, (2 / fan_in) ** 0.5, shape)
        weights.append(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
    return model


def light_files(directory):
    shipped = os.path.join(os.path.dirname(onnx.__file__), "backend/test/data/light/*.onnx")
    for source in sorted(glob.glob(shipped)):
        def make(path, source=source):
            model = with_weights(onnx.load(source))
            onnx.save(model, path)
            return np.random.default_rng(2).normal(size=(1, 3, 224, 224)).astype(np.float32)
        name = Path(source).stem
        yield name, directory / f"{name}.onnx", make


# Operators that a network for images may have.
OPERATORS = {"Add", "AveragePool", "BatchNormalization", "Cast", "CastLike", "Celu", "Clip", "Concat", "Conv",
             "ConvTranspose", "DepthToSpace", "Div", "Dropout", "Elu", "Erf", "Exp", "Expand", "Flatten", "Gelu",
             "GlobalAveragePool", "GlobalMaxPool", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity",
             "InstanceNormalization", "LRN", "LayerNormalization", "LeakyRelu", "LogSoftmax", "MatMul", "Max", "MaxPool",
             "Mean", "Min", "Mish", "Mul", "Neg", "PRelu", "Pad", "Pow", "ReduceMax", "ReduceMean", "ReduceSum", "Relu",
             "Reshape", "Resize", "Selu", "Shape", "Sigmoid", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth",
             "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish", "Tanh", "ThresholdedRelu", "Tile", "Transpose",
             "Unsqueeze", "Upsample"}


def inputs_of(graph):
    weights = {it.name for it in graph.initializer}
    return [it for it in graph.input if it.name not in weights]


def with_head(model, arrays, rank):
    """Inputs but the first become weights; behind the first output come Flatten and Gemm."""
    model = copy.deepcopy(model)
    graph = model.graph
    inputs = inputs_of(graph)
    first, output = inputs[0], graph.output[0]
    for value, array in zip(inputs[1:], arrays[1:]):
        graph.initializer.append(numpy_helper.from_array(array, value.name))
        graph.input.remove(value)
    session = onnxruntime.InferenceSession(model.SerializeToString(), quiet())
    shape = session.run([output.name], {first.name: arrays[0]})[0].shape
    if len(shape) not in (2, rank) or shape[0] != arrays[0].shape[0]:
        raise ValueError(f"makes {shape} of {arrays[0].shape}")
    size = int(np.prod(shape[1:]))
    weight = np.random.default_rng(3).normal(0, size**-0.5, (5, size)).astype(np.float32)
    graph.initializer.append(numpy_helper.from_array(weight, "head.weight"))
    graph.initializer.append(numpy_helper.from_array(weight[:, 0].copy(), "head.bias"))
    graph.node.append(helper.make_node("Flatten", [output.name], ["head.flat"], name="head.flat", axis=1))
    graph.node.append(helper.make_node("Gemm", ["head.flat", "head.weight", "head.bias"], ["head"], name="head", transB=1))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("head", TensorProto.FLOAT, None))
    return model


def node_files(directory):
    from onnx.backend.test.case.node import collect_testcases
    cases = [(case.name, case.model, case.data_sets[0][0]) for case in collect_testcases(None)
             if case.model is not None and case.data_sets]
    for name, model, arrays in cases:
        arrays = [np.asarray(it) for it in arrays] if all(isinstance(it, np.ndarray) for it in arrays) else []
        if not arrays or arrays[0].ndim != 4 or arrays[0].dtype != np.float32 or len(inputs_of(model.graph)) != len(arrays):
            continue
        if not {node.op_type for node in model.graph.node} <= OPERATORS | {"Constant"}:
            continue
        def make(path, model=model, arrays=arrays):
            onnx.save(with_head(model, arrays, 4), path)
            return arrays[0]
        yield name, directory / f"{name}.onnx", make


SETS = {"torch": torch_files, "opset": opset_files, "light": light_files, "node": node_files}


# ---- What becomes of them


def quiet():
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 2
    return options


def onnxruntime_logits(path, images):
    session = onnxruntime.InferenceSession(str(path), quiet())
    return session.run(None, {session.get_inputs()[0].name: images})[0].reshape(len(images), -1)


def convoy_logits(convoy, path, images, directory):
    """Logits, and whether the file has probabilities in their place; or exit code and message."""
    array = directory / "images.npy"
    np.save(array, np.ascontiguousarray(images.transpose(0, 2, 3, 1)))
    done = subprocess.run([convoy, "predict", str(path), str(array), "--format=jsonl", "--logits", "--device=cpu"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [""]
        return done.returncode, lines[-1].replace(str(path), "FILE")
    rows = [json.loads(line)["logits"] for line in done.stdout.splitlines()]
    return np.array(rows), ends_in_softmax(path)


def ends_in_softmax(path):
    """Which Convoy leaves out: predict applies it."""
    graph = onnx.load(path).graph
    return any(node.op_type == "Softmax" and graph.output[0].name in node.output for node in graph.node)


def difference(found, expected, probabilities):
    if probabilities:
        powers = np.exp(found - found.max(axis=1, keepdims=True))
        found = powers / powers.sum(axis=1, keepdims=True)
    if found.shape != expected.shape:
        return float("inf")
    scale = np.abs(expected).max()
    return float(np.abs(found - expected).max() / scale) if scale > 0 else float(np.abs(found).max())


def compare(convoy, path, make, directory):
    """(what to print, whether it is fine)"""
    try:
        images = make(path)
        expected = onnxruntime_logits(path, images)
    except Exception as error:  # noqa: BLE001: not every exporter knows every network, nor onnxruntime every operator
        return f"no file: {(str(error).strip().splitlines() or [''])[0][:90]}", True, None
    found, extra = convoy_logits(convoy, path, images, directory)
    if isinstance(found, int):
        return f"{'refused' if found == 78 else f'EXIT {found}'}: {extra}", found == 78, None
    worst = difference(found, expected, extra)
    good = worst <= MOST_DIFFERENCE
    return f"{worst:.1e}{'' if good else '  DIFFERENT'}", good, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--convoy", default="build/release/convoy")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", choices=SETS)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    torch.set_num_threads(2)

    failed = same = refused = absent = 0
    worst = 0.0
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, onnx {onnx.__version__}, "
          f"onnxruntime {onnxruntime.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        for part in [arguments.only] if arguments.only else SETS:
            for name, path, make in SETS[part](directory):
                if arguments.words and not any(word in name for word in arguments.words):
                    continue
                text, good, off = compare(arguments.convoy, path, make, directory)
                failed += not good
                same += good and off is not None
                refused += text.startswith("refused")
                absent += text.startswith("no file")
                worst = max(worst, off or 0.0)
                print(f"{part:6} {name:58} {text}", flush=True)
                if not arguments.keep:
                    path.unlink(missing_ok=True)
    print(f"{same} files agree, the worst by {worst:.1e}; {refused} refused, {absent} not made; {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
