"""Each network of configs/models: one training step by Convoy, exported as ONNX, against onnxruntime.

  python tests/exchange/onnx_zoo.py [--convoy build/release/convoy] [MODEL.yaml …]

Needs onnx and onnxruntime.  Trains a step on made-up images at the size that the network was made for, writes ONNX (plain
and with batch norm folded) and safetensors, checks the files with onnx.checker, and compares onnxruntime's logits with
those of `convoy predict` on the same numbers.  Prints a row for each network; exits with 1 if one differs by more than 1e-4
of the largest logit.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_DIFFERENCE = 1e-4
EXPERIMENT = """
experiment: {{name: zoo}}
model: {{config: {model}}}
data: {{format: synthetic, shape: {shape}, classes: {classes}, train_size: 4, test_size: 1}}
batch: {{global: 2}}
train: {{steps: 1, eval_every_epochs: 0, exports: [m.safetensors, m.onnx]}}
optimizer: {{type: sgd, learning_rate: 0.001, momentum: 0.9}}
checkpoint: {{every_epochs: 0}}
progress: none
"""


def run(arguments, directory):
    done = subprocess.run(arguments, cwd=directory, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


def onnx_logits(path, images):
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(path), options)
    return session.run(None, {session.get_inputs()[0].name: images.transpose(0, 3, 1, 2)})[0]


def compare(model, convoy, directory):
    described = json.loads(run([convoy, "inspect", model, "--json"], directory))
    (directory / "zoo.yaml").write_text(
        EXPERIMENT.format(model=model, shape=described["shape"], classes=described["classes"]))
    run([convoy, "train", "zoo.yaml", "--fresh"], directory)
    made = directory / "runs/zoo"
    events = [json.loads(line) for line in (made / "log.jsonl").read_text().splitlines()]
    loss = [event["loss"] for event in events if event["event"] == "step"][0]
    run([convoy, "convert", made / "m.safetensors", made / "folded.onnx", "--fold_batch_norm"], directory)
    images = np.random.default_rng(1).standard_normal((2, *described["shape"]), dtype=np.float32)
    np.save(directory / "x.npy", images)
    text = run([convoy, "predict", made / "m.safetensors", "x.npy", "--logits", "--format=jsonl"], directory)
    ours = np.array([json.loads(line)["logits"] for line in text.splitlines()])
    size = np.abs(ours).max()
    differences = [np.abs(onnx_logits(made / name, images) - ours).max() / size for name in ("m.onnx", "folded.onnx")]
    return described["parameters"], loss, size, differences


def main():
    parser = argparse.ArgumentParser(description="Convoy's ONNX files of the zoo against onnxruntime")
    parser.add_argument("--convoy", default=str(ROOT / "build/release/convoy"))
    parser.add_argument("models", nargs="*")
    arguments = parser.parse_args()
    models = arguments.models or sorted((ROOT / "configs/models").glob("*.yaml"))
    convoy = str(Path(arguments.convoy).absolute())
    print("| network | parameters | loss of the first step | largest logit | ONNX | folded |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    good = True
    for model in models:
        model = Path(model).absolute()
        with tempfile.TemporaryDirectory() as directory:
            try:
                parameters, loss, size, differences = compare(model, convoy, Path(directory))
                row = f"{parameters:,} | {loss:.3f} | {size:.3g} | " + " | ".join(f"{d:.1e}" for d in differences)
                good &= bool(np.isfinite(loss)) and max(differences) <= MOST_DIFFERENCE
            except Exception as error:  # one network must not keep the others from being looked at
                row, good = f"failed: {error}", False
        print(f"| {model.stem} | {row} |", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
