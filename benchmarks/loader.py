"""Loaders in turn on one core; scripts/compare-loader tells the rest.

With --serve PEER this file is the peer itself: for each line on standard input it loads for that many seconds and
prints images per second.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SIDE, ROWS = 224, 32
PREFETCHED = 3  # batches: DALI has two ready and one in work
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def files_of(folder):
    return sorted(p for p in Path(folder).glob("*/*") if p.suffix.lower() in (".jpg", ".jpeg"))


def pillow_reader(folder):
    import torch
    from PIL import Image
    from torchvision import transforms

    transform = transforms.Compose([
        transforms.RandomResizedCrop(SIDE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])
    paths = files_of(folder)

    def batch(first):
        rows = []
        for i in range(first, first + ROWS):
            with open(paths[i % len(paths)], "rb") as file:
                rows.append(transform(Image.open(file).convert("RGB")))
        return torch.stack(rows)

    return batch


def tensor_reader(folder):
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms import v2

    transform = v2.Compose([
        v2.RandomResizedCrop(SIDE, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ])
    paths = files_of(folder)

    def batch(first):
        rows = range(first, first + ROWS)
        return torch.stack([transform(decode_jpeg(read_file(str(paths[i % len(paths)])), ImageReadMode.RGB)) for i in rows])

    return batch


def dali_reader(folder):
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=ROWS, num_threads=1, device_id=None, seed=1)
    def pipeline():
        encoded, _ = fn.readers.file(file_root=folder, random_shuffle=True)
        images = fn.decoders.image_random_crop(encoded, device="cpu", output_type=types.RGB)
        images = fn.resize(images, size=(SIDE, SIDE), antialias=True)
        return fn.crop_mirror_normalize(
            images, mirror=fn.random.coin_flip(), mean=[255 * m for m in MEAN], std=[255 * s for s in STD],
            output_layout="HWC", dtype=types.FLOAT)

    pipe = pipeline()
    pipe.build()
    return lambda first: pipe.run()


READERS = {"pillow": pillow_reader, "tensor": tensor_reader, "dali": dali_reader}


def serve(peer, folder):
    if peer != "dali":
        import torch
        torch.set_num_threads(1)
    batch = READERS[peer](folder)
    first = 0
    batch(first)
    print("ready", flush=True)
    for line in sys.stdin:
        for _ in range(PREFETCHED if peer == "dali" else 0):  # it went on loading while the others were measured
            batch(first)
        begin, rows = time.perf_counter(), 0
        while time.perf_counter() - begin < float(line):
            batch(first)
            first += ROWS
            rows += ROWS
        print(rows / (time.perf_counter() - begin), flush=True)


class Peer:
    """A process of its own, kept between rounds, on the core of all."""

    def __init__(self, python, peer, folder, environment=None):
        command = [python, __file__, "--serve", peer, folder]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **(environment or {})})
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{peer} did not start")

    def measure(self, seconds):
        print(seconds, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


class Convoy:
    def __init__(self, row, path):
        self.command = ["build/release/convoy_bench_loader", row, path]

    def measure(self, seconds):
        output = subprocess.run([*self.command, "--seconds", str(seconds)], check=True, capture_output=True, text=True)
        return json.loads(output.stdout)["images_per_second"]


def contenders(folder, packed):
    yield "libjpeg-turbo, decoding alone", Convoy("decode", folder)
    yield "Convoy", Convoy("loader", folder)
    for text, path in packed:
        yield f"Convoy, {text}", Convoy("loader", path)
    yield "torchvision, Pillow", Peer(sys.executable, "pillow", folder)
    if simd := os.environ.get("CONVOY_PILLOW_SIMD"):
        yield "torchvision, Pillow-SIMD", Peer(sys.executable, "pillow", folder, {"PYTHONPATH": simd})
    yield "torchvision, tensors", Peer(sys.executable, "tensor", folder)
    if dali := os.environ.get("CONVOY_DALI_PYTHON"):
        yield "DALI, CPU", Peer(dali, "dali", folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--packed", action="append", default=[], metavar="TEXT=FILE", help="of the folder, by convoy data pack")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--core", type=int, default=0)
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    for folder in options.folders:
        paths = files_of(folder)
        size = sum(path.stat().st_size for path in paths) / len(paths)
        print(f"\n{folder}: {len(paths)} JPEG files, {size / 1e3:.0f} kB each\n")
        rows = [(name, it, []) for name, it in contenders(folder, [p.split("=", 1) for p in options.packed])]
        for _ in range(options.repeat):
            for _, it, rates in rows:
                rates.append(it.measure(options.seconds))
        base = statistics.median(rows[0][2])
        print("| one core | images/s, median | least | most | times decoding alone |\n|---|--:|--:|--:|--:|")
        for name, _, rates in rows:
            rate = statistics.median(rates)
            print(f"| {name} | {rate:.0f} | {min(rates):.0f} | {max(rates):.0f} | {rate / base:.2f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:4])
    else:
        main()
