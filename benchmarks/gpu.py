"""Started by gpu.sh: Convoy and PyTorch in turn on one GPU, each variant in a process of its own.

Both sides: the same network, cross entropy, SGD with momentum 0.9 and weight decay, made-up data.  PyTorch gets images
that are bf16-ready tensors in the GPU's memory; Convoy copies u8 pixels from the host and normalises them within the
measured step.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
CONFIGS = HERE.parent / "configs"
ROW_SECONDS, VARIANT_SECONDS = 240, 100

# Name: (network, of gpu_pytorch.py and configs/models, H W C, classes, batch).  Most of what one wants to know comes first.
ROWS = {
    "resnet50-b256": ("resnet50", [224, 224, 3], 1000, 256),
    "resnet50-b64": ("resnet50", [224, 224, 3], 1000, 64),
    "resnet18-cifar-b128": ("resnet18", [32, 32, 3], 10, 128),
    "resnet18-cifar-b512": ("resnet18", [32, 32, 3], 10, 512),
    "vgg16-b128": ("vgg16", [224, 224, 3], 1000, 128),
    "mnist-b64": ("mnist-pytorch", [28, 28, 1], 10, 64),
    "mnist-b512": ("mnist-pytorch", [28, 28, 1], 10, 512),
}
# Convoy's settings and PyTorch's ways to run, in the order in which they are measured.
VARIANTS = {
    "Convoy bf16": ["train.precision=bf16", "train.autotune=true"],
    "PyTorch eager": "eager",
    "PyTorch graph": "graph",
    "Convoy f16": ["train.precision=f16", "train.autotune=true"],
    "Convoy bf16, no graph": ["train.precision=bf16", "train.autotune=true", "train.cuda_graph=off"],
    "Convoy bf16, no autotune": ["train.precision=bf16"],
    "PyTorch compile": "compile",
    "PyTorch max-autotune": "max-autotune",
}


class Watch(threading.Thread):
    """The GPU's clock and memory while something runs, by nvidia-smi; nothing where there is none."""

    def __init__(self):
        super().__init__(daemon=True)
        self.samples, self.ended = [], threading.Event()

    def run(self):
        query = ["nvidia-smi", "--query-gpu=clocks.sm,memory.used,power.draw", "--format=csv,noheader,nounits", "-i", "0"]
        while not self.ended.wait(0.3):
            try:
                text = subprocess.run(query, capture_output=True, text=True, check=True, timeout=10).stdout
                self.samples.append([float(it) for it in text.split(",")])
            except (OSError, ValueError, subprocess.SubprocessError):
                return

    def facts(self):
        self.ended.set()
        if not self.samples:
            return {}
        clocks, memory, power = zip(*self.samples, strict=True)
        return {"clock_mhz": statistics.median(clocks), "memory_mib": max(memory), "most_watts": max(power)}


def convoy_command(options, row, settings, batch):
    network, shape, classes, _ = ROWS[row]
    command = [options.convoy, "bench", "step", str(CONFIGS / "resnet18-synthetic.yaml"), "device=cuda",
               f"model={{config: {CONFIGS}/models/{network}.yaml}}", f"data.shape={shape}", f"data.classes={classes}",
               f"data.train_size={batch}", f"batch={{global: {batch}, micro: {batch}}}", "data.test_size=1"]  # fmt: skip
    return [*command, *settings, "--repeat", str(options.repeat), "--json"]


def pytorch_command(options, row, way, batch):
    network, (height, width, channels), classes, _ = ROWS[row]
    shape = [str(it) for it in (batch, channels, height, width)]
    return [sys.executable, str(HERE / "gpu_pytorch.py"), network, way, "--shape", *shape, "--classes", str(classes),
            "--repeat", str(options.repeat), "--device", options.pytorch_device]  # fmt: skip


def measure(command, seconds):
    """What the last line of its output says, with the facts of the watch; or {"error": why}."""
    watch, begin = Watch(), time.monotonic()
    watch.start()
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
        lines = (run.stdout.strip() or "nothing").splitlines()
        result = json.loads(lines[-1]) if run.returncode == 0 else None
        if result is None:
            said = (run.stderr.strip() or lines[-1]).splitlines()
            why = next((line for line in reversed(said) if "error" in line.lower()), said[-1])
            result = {"error": f"exit code {run.returncode}: {why}"}
    except subprocess.TimeoutExpired:
        result = {"error": f"not done after {seconds:.0f} s"}
    except (json.JSONDecodeError, OSError) as error:
        result = {"error": str(error)}
    return result | watch.facts() | {"command": command, "seconds": round(time.monotonic() - begin, 1)}


def run_row(options, row):
    batch = options.batch or ROWS[row][-1]
    variants, begin = {}, time.monotonic()
    for name, how in VARIANTS.items():
        pytorch = isinstance(how, str)
        if (pytorch and options.no_pytorch) or (not pytorch and options.no_convoy):
            continue
        left = min(VARIANT_SECONDS, ROW_SECONDS - (time.monotonic() - begin))
        if left < 10:
            variants[name] = {"error": "no time was left"}
            continue
        command = (pytorch_command if pytorch else convoy_command)(options, row, how, batch)
        variants[name] = measure(command, left)
        it = variants[name]
        print(f"{row}: {name}: {it.get('error') or number(it['images_per_second']) + ' img/s'}", flush=True)
    counts = {it["parameters"] for it in variants.values() if "parameters" in it}
    return {"row": row, "batch": batch, "date": str(datetime.date.today()), "machine": platform.platform(),
            "gpu": gpu_name(variants), "convoy": version(options), "parameters": sorted(counts),
            "same_network": len(counts) == 1, "variants": variants}  # fmt: skip


def version(options):
    run = subprocess.run([options.convoy, "--version"], capture_output=True, text=True, check=False)
    return run.stdout.splitlines()


def gpu_name(variants):
    return next((it["device"] for it in variants.values() if "device" in it), "unknown")


def number(value):
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def table_head():
    cells = ["row", "GPU", *(f"{name}, img/s" for name in VARIANTS), "Convoy bf16 / best PyTorch",
             "memory, MiB: Convoy", "PyTorch eager", "clock, MHz"]  # fmt: skip
    return "| " + " | ".join(cells) + " |\n|---|---|" + "--:|" * (len(cells) - 2) + "\n"


def table_row(result):
    variants = result["variants"]
    speed = {name: variants.get(name, {}).get("images_per_second") for name in VARIANTS}
    best = max((it for name, it in speed.items() if it and name.startswith("PyTorch")), default=None)
    ours, eager = variants.get("Convoy bf16", {}), variants.get("PyTorch eager", {})
    ratio = f"{speed['Convoy bf16'] / best:.2f}" if best and speed["Convoy bf16"] else "–"
    cells = [result["row"], result["gpu"], *(number(it) if it else "–" for it in speed.values()), ratio]
    cells += [f"{it:,.0f}" if it else "–" for it in
              (ours.get("memory_mib"), eager.get("memory_mib"), ours.get("clock_mhz"))]  # fmt: skip
    return "| " + " | ".join(cells) + " |\n"


def parse_options():
    parser = argparse.ArgumentParser(prog="gpu.sh", description="Convoy against PyTorch, on one GPU")
    parser.add_argument("dir", nargs="?", type=pathlib.Path, help="where results go")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--no-pytorch", action="store_true", help="leave PyTorch out")
    parser.add_argument("--no-convoy", action="store_true", help="leave Convoy out")
    parser.add_argument("--repeat", type=int, default=50, help="measured steps; default: 50")
    parser.add_argument("--batch", type=int, help="another batch than the row's, to try things out")
    parser.add_argument("--pytorch-device", default="cuda", help="cpu: to try this script without a GPU")
    parser.add_argument("--convoy", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        print("\n".join(ROWS))
        sys.exit()
    if not options.dir or not options.rows:
        parser.error("expected DIR and ROWs; --list names them")
    if unknown := [row for row in options.rows if row not in ROWS]:
        parser.error(f"no such row: {unknown[0]}; --list names them")
    return options


def main():
    options = parse_options()
    options.dir.mkdir(parents=True, exist_ok=True)
    table, good = options.dir / "gpu.md", True
    for row in options.rows:
        path = options.dir / f"{row}.json"
        if path.exists():
            print(f"{row}: is in {path} already")
            continue
        result = run_row(options, row)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)
        if not table.exists():
            table.write_text(table_head(), encoding="utf-8")
        with open(table, "a", encoding="utf-8") as lines:
            lines.write(table_row(result))
        print(table_row(result), end="", flush=True)
        if len(result["parameters"]) > 1:
            print(f"{row}: the networks differ, they have {result['parameters']} parameters", file=sys.stderr)
        good &= len(result["parameters"]) == 1
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
