"""Convoy against PyTorch on the CPU: images per second of a training step, as a Markdown table.

Started by scripts/compare-pytorch.  In one run, for every network, batch and number of threads, several rounds measure
in turn: PyTorch (eager in N,C,H,W and channels_last, torch.compile in channels_last; f32 and bf16 autocast) and
`convoy bench step` (f32 and bf16).  What a table shows is the median of all steps of a variant, so that other load on the
machine hits all alike.  --memory adds a table of what processes of their own took, see measure_process().  --ranks P
adds one of P processes that train together, each with the batch, see RanksOfPyTorch and RanksOfConvoy.

Both sides: the same network, cross entropy, SGD with momentum 0.9 and weight decay, made-up data.  PyTorch gets images
that are ready f32 tensors; Convoy turns u8 into normalised f32 within the measured step.

Convoy's side is the command
    convoy bench step CONFIG batch.global=B batch.micro=B train.precision=f32|bf16 threads=T --repeat N --json
which prints one JSON object with at least "seconds_per_step" (median) and "parameters".
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import torch
    import torchvision
except ImportError as error:
    sys.exit(f"compare-pytorch: {sys.executable} cannot import {error.name}: give another with --python, or none")

ROOT = pathlib.Path(__file__).resolve().parent.parent
PRECISIONS = ("f32", "bf16")
FORMATS = {"N,C,H,W": torch.contiguous_format, "channels_last": torch.channels_last,
           "compiled": torch.channels_last}  # fmt: skip


def mnist_example():
    """The network of PyTorch's examples/mnist; its log_softmax is part of cross_entropy here."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))  # fmt: skip


class Case:
    def __init__(self, title, config, model, shape, classes, batch, overrides=()):
        self.title, self.config, self.model, self.overrides = title, config, model, overrides
        self.shape, self.classes, self.batch = shape, classes, batch  # shape: C,H,W

    def __str__(self):
        return f"{self.title}, batch {self.batch}"


def all_cases():
    models = torchvision.models
    mnist = ("MNIST example", "configs/fashion-mnist.yaml", mnist_example, (1, 28, 28), 10)
    resnet18 = ("ResNet-18, 32×32", "configs/resnet18-synthetic.yaml", lambda: models.resnet18(num_classes=10),
                (3, 32, 32), 10)  # fmt: skip
    resnet50 = ("ResNet-50, 224×224", "configs/resnet50-synthetic.yaml", models.resnet50, (3, 224, 224), 1000)
    return {
        "mnist64": Case(*mnist, 64),
        "mnist512": Case(*mnist, 512),
        "resnet18": Case(*resnet18, 128),
        "resnet50": Case(*resnet50, 16),
        "vgg16": Case("VGG16, 224×224", resnet50[1], models.vgg16, (3, 224, 224), 1000, 8,
                      ("model.config=configs/models/vgg16.yaml",)),
    }


class PyTorchVariant:
    """One network in one memory format and precision, with its optimizer and data."""

    def __init__(self, case, memory_format, precision):
        torch.manual_seed(1)
        self.model = case.model().to(memory_format=FORMATS[memory_format]).train()
        self.forward = torch.compile(self.model) if memory_format == "compiled" else self.model
        self.images = torch.randn(case.batch, *case.shape).to(memory_format=FORMATS[memory_format])
        self.labels = torch.randint(case.classes, (case.batch,))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4, fused=True)
        self.bf16 = precision == "bf16"

    def parameters(self):
        return sum(p.numel() for p in self.model.parameters())

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        autocast = torch.autocast("cpu", dtype=torch.bfloat16) if self.bf16 else contextlib.nullcontext()
        with autocast:
            loss = torch.nn.functional.cross_entropy(self.forward(self.images), self.labels)
        loss.backward()
        self.optimizer.step()

    def measure(self, seconds):
        """Seconds of each step, for as long as asked but at least one."""
        self.step()  # what other variants pushed out of the caches comes back
        times = []
        while not times or sum(times) < seconds:
            begin = time.perf_counter()
            self.step()
            times.append(time.perf_counter() - begin)
        return times


class ConvoyVariant:
    def __init__(self, binary, case, precision, threads):
        self.command = [binary, "bench", "step", case.config, f"batch.global={case.batch}",
                        f"batch.micro={case.batch}", f"train.precision={precision}", f"threads={threads}",
                        *case.overrides]  # fmt: skip
        self.environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        self.step_seconds = None  # from the round before; decides how many repeats fill the time
        self.count = None

    def parameters(self):
        return self.count

    def measure(self, seconds):
        repeat = 3 if self.step_seconds is None else max(1, round(seconds / self.step_seconds))
        result = run_convoy([*self.command, "--repeat", str(repeat), "--json"], self.environment)
        self.step_seconds, self.count = result["seconds_per_step"], result.get("parameters")
        return [self.step_seconds] * repeat


def run_convoy(command, environment):
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        if run.returncode == 0:
            return json.loads(run.stdout)
        why = (run.stderr.strip() or run.stdout.strip() or "no output").splitlines()[-1]
    except json.JSONDecodeError:
        why = "its output is no JSON"
    sys.exit(f"compare-pytorch: '{' '.join(command)}' failed with exit code {run.returncode}: {why}")


def measure_case(case, threads, options):
    """Images per second by (system, precision), and the parameter counts that were found."""
    torch.set_num_threads(threads)
    variants = {(f, p): PyTorchVariant(case, f, p) for p in options.precisions for f in FORMATS}
    if not options.pytorch_only:
        variants |= {("Convoy", p): ConvoyVariant(options.convoy, case, p, threads) for p in options.precisions}
    times = {key: [] for key in variants}
    for number in range(options.rounds):
        for key, variant in variants.items():
            print(f"\r{case}, {threads} threads, round {number + 1}/{options.rounds}, {' '.join(key)}\033[K",
                  end="", file=sys.stderr, flush=True)  # fmt: skip
            times[key] += variant.measure(options.seconds)
    print("\r\033[K", end="", file=sys.stderr)
    counts = {variant.parameters() for variant in variants.values()} - {None}
    if len(counts) != 1:
        sys.exit(f"compare-pytorch: {case}: the networks differ, they have {sorted(counts)} parameters")
    return {key: case.batch / statistics.median(it) for key, it in times.items()}, counts.pop()


def number(value):
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def table_row(case, threads, precision, speeds, parameters):
    pytorch = {f: speeds[f, precision] for f in FORMATS}
    best_of_all, best = max((speed, f"{p} {f}") for (f, p), speed in speeds.items() if f in FORMATS)
    convoy = speeds.get(("Convoy", precision))
    cells = [case.title, f"{parameters:,}", case.batch, threads, precision]
    cells += [number(it) for it in pytorch.values()]
    cells += ["–", "–", "–"] if convoy is None else [
        number(convoy), f"{convoy / max(pytorch.values()):.2f}", f"{convoy / best_of_all:.2f}"]  # fmt: skip
    return "| " + " | ".join(map(str, [*cells, best])) + " |"


MEMORY_HEADER = [
    "",
    "A process of its own for each, which trains for three steps with as many threads as processors:",
    "",
    "| network | batch | precision | | peak resident memory, MiB | of the least of PyTorch | seconds from start to first step |",
    "|---|--:|---|---|--:|--:|--:|",
]


def run_one(cases, name, memory_format, precision, threads):
    """In a process of its own: three steps, a line behind each."""
    torch.set_num_threads(int(threads))
    variant = PyTorchVariant(cases[name], memory_format, precision)
    for number in range(3):
        variant.step()
        print(f"step {number + 1}/3", flush=True)


def measure_process(command, environment):
    """Peak resident MiB of a process, as of its last line, and the seconds until it says that the first step is done."""
    begin, first, peak = time.perf_counter(), None, 0
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            if first is None and "step 1/3" in line:
                first = time.perf_counter() - begin
            peak = max(peak, peak_kib(run.pid))  # ru_maxrss would begin with what this process had when it forked
        why = run.stderr.read().strip()
    if run.returncode != 0 or first is None:
        sys.exit(f"compare-pytorch: '{' '.join(command)}' failed with exit code {run.returncode}: {why}")
    return peak / 1024, first


def peak_kib(pid):
    with contextlib.suppress(OSError, StopIteration), open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return 0  # it has ended


def memory_rows(name, case, options):
    threads, rows = os.cpu_count(), []
    for precision in options.precisions:
        results = {}
        for memory_format in FORMATS:
            command = [sys.executable, __file__, "--one", name, memory_format, precision, str(threads)]
            results[f"PyTorch {memory_format}"] = measure_process(command, os.environ)
        least = min(mib for mib, _ in results.values())
        if not options.pytorch_only:
            with tempfile.TemporaryDirectory() as runs:
                command = [options.convoy, "train", case.config, f"batch.global={case.batch}", f"batch.micro={case.batch}",
                           f"train.precision={precision}", f"threads={threads}", "train.steps=3", "train.log_every_steps=1",
                           "progress=plain", "data.test_limit=64", f"experiment.output_dir={runs}", *case.overrides]  # fmt: skip
                results["Convoy"] = measure_process(command, os.environ | {"OMP_NUM_THREADS": str(threads)})
        rows += [f"| {case.title} | {case.batch} | {precision} | {who} | {mib:,.0f} | {mib / least:.2f} | {first:.2f} |"
                 for who, (mib, first) in results.items()]  # fmt: skip
    return rows


RANKS_HEADER = [
    "",
    "Processes that train together on this machine, each with the batch and one thread a rank; images per second of all of them. "
    "Efficiency: the same processes by turns without communication, by with it (PyTorch: `no_sync()`; Convoy: `bench overlap`).",
    "",
    "| network | batch a rank | ranks | precision | | images per second | efficiency | of the best of PyTorch |",
    "|---|--:|--:|---|---|--:|--:|--:|",
]


class RanksOfPyTorch:
    """DistributedDataParallel over gloo: processes that stay, each a rank; they take turns with the others by standard input."""

    def __init__(self, name, case, memory_format, precision, ranks, threads):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, __file__, "--rank-of", name, memory_format, precision, str(threads)]
        environment = os.environ | {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
                                    "OMP_NUM_THREADS": str(threads), "GLOO_SOCKET_IFNAME": "lo"}  # fmt: skip
        self.images = case.batch * ranks
        self.processes = [subprocess.Popen(command, env=environment | {"RANK": str(rank)}, cwd=ROOT, text=True,
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE) for rank in range(ranks)]  # fmt: skip
        self.step_seconds = self.ask(2)[0]

    def ask(self, steps):
        """Seconds of a step with and without communication, of the slowest rank."""
        for process in self.processes:
            process.stdin.write(f"{steps}\n")
            process.stdin.flush()
        answers = [process.stdout.readline().split() for process in self.processes]
        if not all(answers):  # the others wait for it
            codes = [process.poll() for process in self.processes]
            for process in self.processes:
                process.kill()
            sys.exit(f"compare-pytorch: a rank of PyTorch ended; exit codes by rank: {codes}")
        return tuple(max(float(answer[i]) for answer in answers) for i in range(2))

    def measure(self, seconds):
        return self.ask(max(3, round(seconds / self.step_seconds)))

    def close(self):
        for process in self.processes:
            process.stdin.close()
            process.wait()


def rank_of_pytorch(cases, name, memory_format, precision, threads):
    """One rank: for each line with a number of steps, the median seconds with and without communication."""
    torch.set_num_threads(int(threads))
    torch.distributed.init_process_group("gloo")
    variant = PyTorchVariant(cases[name], memory_format, precision)
    model = torch.nn.parallel.DistributedDataParallel(variant.model, gradient_as_bucket_view=True)
    variant.forward = torch.compile(model) if memory_format == "compiled" else model

    def seconds(steps, context):
        times = []
        for _ in range(steps):
            torch.distributed.barrier()
            begin = time.perf_counter()
            with context():
                variant.step()
            times.append(time.perf_counter() - begin)
        return statistics.median(times)

    for line in sys.stdin:
        variant.step()
        print(seconds(int(line), contextlib.nullcontext), seconds(int(line), model.no_sync), flush=True)
    torch.distributed.destroy_process_group()


class RanksOfConvoy:
    def __init__(self, convoy, case, precision, ranks, threads):
        self.command = ["mpirun", "--oversubscribe", "-np", str(ranks), convoy, "bench", "overlap", case.config,
                        f"batch.global={case.batch * ranks}", f"batch.micro={case.batch}", f"train.precision={precision}",
                        f"threads={threads}", *case.overrides]  # fmt: skip
        self.environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        self.images = case.batch * ranks
        self.step_seconds = self.ask(3)[0]

    def ask(self, repeat):
        result = run_convoy([*self.command, "--repeat", str(repeat), "--json"], self.environment)
        return result["seconds_per_step"], result["seconds_alone"]

    def measure(self, seconds):
        return self.ask(max(3, round(seconds / self.step_seconds)))

    def close(self):
        pass


def ranks_rows(name, case, ranks, options):
    rows = []
    for precision in options.precisions:
        variants = {f"PyTorch DDP {it}": RanksOfPyTorch(name, case, it, precision, ranks, 1) for it in FORMATS}
        if not options.pytorch_only:
            variants["Convoy"] = RanksOfConvoy(options.convoy, case, precision, ranks, 1)
        times = {who: [] for who in variants}
        for _ in range(options.rounds):
            for who, variant in variants.items():
                times[who].append(variant.measure(options.seconds))
        speeds = {who: variants[who].images / statistics.median(it[0] for it in times[who]) for who in variants}
        best = max(speed for who, speed in speeds.items() if who != "Convoy")
        for who, variant in variants.items():
            variant.close()
            efficiency = statistics.median(alone / together for together, alone in times[who])
            rows.append(f"| {case.title} | {case.batch} | {ranks} | {precision} | {who} | {number(speeds[who])} "
                        f"| {100 * efficiency:.1f} % | {speeds[who] / best:.2f} |")  # fmt: skip
    return rows


def processor():
    with contextlib.suppress(OSError, StopIteration), open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next(line.split(": ")[1].strip() for line in lines if line.startswith("model name"))
    return platform.machine()


def convoy_version(options):
    if options.pytorch_only:
        return "Convoy was not run"
    return subprocess.run([options.convoy, "--version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]


def header(options, load_before):
    load = " → ".join(f"{load:.1f}" for load in (load_before, os.getloadavg()[0]))
    capability = torch.backends.cpu.get_cpu_capability()
    return [
        "# Training step on the CPU: Convoy and PyTorch",
        "",
        f"- {datetime.date.today()}, {processor()}, {os.cpu_count()} processors, load average {load}",
        f"- {convoy_version(options)}; PyTorch {torch.__version__} (eager and torch.compile, {capability}, fused SGD), "
        f"torchvision {torchvision.__version__}",
        f"- images per second, median over {options.rounds} rounds of {options.seconds:g} s that take turns; "
        "same threads for both; repeat with `scripts/compare-pytorch`",
        "",
        "| network | parameters | batch | threads | precision | PyTorch N,C,H,W | PyTorch channels_last "
        "| PyTorch compiled | Convoy | Convoy / PyTorch of this precision | Convoy / best PyTorch | best PyTorch |",
        "|---|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|---|",
    ]


def parse_options(cases):
    parser = argparse.ArgumentParser(prog="compare-pytorch", description="Convoy against PyTorch, on the CPU")
    parser.add_argument("--cases", nargs="+", choices=cases, default=list(cases), metavar="CASE", help=", ".join(cases))
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2], help="default: 1 2; none: only what is asked for beside")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS),
                        help="default: both; Convoy's bf16 needs AVX-512")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement; default: 3")
    parser.add_argument("--convoy", default=str(ROOT / "build/release/convoy"), help="default: build/release/convoy")
    parser.add_argument("--pytorch-only", action="store_true", help="leave Convoy out")
    parser.add_argument("--memory", action="store_true", help="also the memory and the start of a process of each")
    parser.add_argument("--ranks", nargs="+", type=int, default=[], help="also so many processes that train together")
    parser.add_argument("--rank-of", nargs=4, metavar="ARGUMENT", help=argparse.SUPPRESS)  # see rank_of_pytorch()
    parser.add_argument("--one", nargs=4, metavar="ARGUMENT", help=argparse.SUPPRESS)  # see run_one()
    parser.add_argument("--write", action="store_true", help="also write benchmarks/results/pytorch-cpu-DATE.md")
    return parser.parse_args()


def check_convoy(options, case):
    if not os.access(options.convoy, os.X_OK):
        sys.exit(f"compare-pytorch: there is no program {options.convoy}: build Convoy, or use --pytorch-only")
    ConvoyVariant(options.convoy, case, "f32", 1).measure(0)  # says at once what would fail later


def main():
    cases = all_cases()
    options = parse_options(cases)
    if options.one:
        run_one(cases, *options.one)
        return
    if options.rank_of:
        rank_of_pytorch(cases, *options.rank_of)
        return
    if not options.pytorch_only:
        check_convoy(options, cases[options.cases[0]])
    load_before = os.getloadavg()[0]
    rows = []
    for name in options.cases:
        for threads in options.threads:
            speeds, parameters = measure_case(cases[name], threads, options)
            rows += [table_row(cases[name], threads, precision, speeds, parameters) for precision in options.precisions]
    if options.memory:
        rows += MEMORY_HEADER + [row for name in options.cases for row in memory_rows(name, cases[name], options)]
    if options.ranks:
        rows += RANKS_HEADER
        rows += [row for name in options.cases for ranks in options.ranks for row in ranks_rows(name, cases[name], ranks, options)]
    text = "\n".join(header(options, load_before) + rows) + "\n"
    print(text, end="")
    if options.write:
        path = ROOT / "benchmarks/results" / f"pytorch-cpu-{datetime.date.today()}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"written to {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
