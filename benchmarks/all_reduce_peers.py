#!/usr/bin/env python3
"""`convoy bench all-reduce` against MPI_Allreduce of Open MPI and MPICH, oneCCL and gloo: GB/s (busbw) by size, as a Markdown table.
The last column is what a rank of Convoy sums up a second (algbw) by what it copies a second, all ranks copying at once.

  benchmarks/all_reduce_peers.py [--convoy build/release/convoy] [--ranks 2] [--rounds 3] [--mpich] [--ccl VENV]

All take turns, for every round, one process each.  The Python that runs this has PyTorch, for gloo.  --mpich: also
mpicc.mpich and mpirun.mpich (Debian's packages mpich and libmpich-dev).  --ccl: also oneCCL, over Intel MPI, from a
virtual environment with PyPI's oneccl-devel and impi-devel.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEAST, MOST, REPEAT, ROUNDS = 4096, 128 << 20, 20, 5


def output_of(command, **more):
    run = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if run.returncode != 0:
        sys.exit(f"'{' '.join(map(str, command))}' failed with exit code {run.returncode}: {run.stderr.strip()}")
    return run.stdout


def convoy(options):
    command = ["mpirun", "--oversubscribe", "-np", str(options.ranks), options.convoy, "bench", "all-reduce",
               "configs/resnet18-synthetic.yaml", "device=cpu", "threads=1", "--json"]  # fmt: skip
    return {it["bytes"]: it["seconds"] for it in json.loads(output_of(command, cwd=ROOT))["sizes"]}


def plain_mpi(mpicc, mpirun, options, directory):
    program = Path(directory) / mpicc
    if not program.exists():
        output_of([mpicc, "-O2", "-o", program, ROOT / "benchmarks/all_reduce_mpi.c"])
    lines = output_of([*mpirun, "-np", str(options.ranks), program, str(LEAST), str(MOST), str(REPEAT)]).splitlines()
    return {int(size): float(seconds) for size, seconds in map(str.split, lines)}


def ccl(options, directory):
    home, program = Path(options.ccl).resolve(), Path(directory) / "ccl"
    libraries = home / "lib"
    if not program.exists():
        output_of(["g++", "-std=c++20", "-O2", f"-I{home}/include", "-o", program, ROOT / "benchmarks/all_reduce_ccl.cc",
                   f"-L{libraries}", "-lccl", "-lmpi", f"-Wl,-rpath-link,{libraries}"])  # fmt: skip
    environment = os.environ | {"LD_LIBRARY_PATH": str(libraries), "I_MPI_ROOT": str(home), "CCL_LOG_LEVEL": "error",
                                "FI_PROVIDER_PATH": str(libraries / "libfabric/prov")}  # fmt: skip
    lines = output_of([home / "bin/mpiexec.hydra", "-n", str(options.ranks), program, str(LEAST), str(MOST), str(REPEAT)],
                      env=environment).splitlines()  # fmt: skip
    numbers = [line.split() for line in lines if line[:1].isdigit() and "|" not in line]  # it warns on standard output
    return {int(size): float(seconds) for size, seconds in numbers}


def gloo(options):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"WORLD_SIZE": str(options.ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
                                "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}  # fmt: skip
    ranks = [subprocess.Popen([sys.executable, __file__, "--gloo-rank"], env=environment | {"RANK": str(rank)},
                              stdout=subprocess.PIPE, text=True) for rank in range(options.ranks)]  # fmt: skip
    times = [json.loads(rank.communicate()[0]) for rank in ranks][0]
    return [{int(size): seconds for size, seconds in way.items()} for way in times]


def gloo_rank():
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")

    def measured(run):
        rounds = []
        for number in range(-1, ROUNDS):
            dist.barrier()
            begin = time.perf_counter()
            for _ in range(REPEAT):
                run()
            seconds = torch.tensor([(time.perf_counter() - begin) / REPEAT], dtype=torch.float64)
            dist.all_reduce(seconds, op=dist.ReduceOp.MAX)
            if number >= 0:
                rounds.append(seconds.item())
        return statistics.median(rounds)

    sums, copies, size = {}, {}, LEAST
    while size <= MOST:
        tensor, copy = torch.zeros(size // 4), torch.zeros(size // 4)
        sums[size] = measured(lambda: dist.all_reduce(tensor))
        copies[size] = measured(lambda: copy.copy_(tensor))
        size *= 2
    print(json.dumps([sums, copies]))
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description="all-reduce of Convoy, Open MPI, MPICH, oneCCL and gloo")
    parser.add_argument("--convoy", default=str(ROOT / "build/release/convoy"))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mpich", action="store_true")
    parser.add_argument("--ccl", metavar="VENV")
    parser.add_argument("--gloo-rank", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.gloo_rank:
        return gloo_rank()
    options.convoy = os.path.abspath(options.convoy)
    copies = []
    with tempfile.TemporaryDirectory() as directory:
        ways = {"Convoy": lambda: convoy(options),
                "Open MPI": lambda: plain_mpi("mpicc.openmpi", ["mpirun.openmpi", "--oversubscribe"], options, directory),
                "gloo": lambda: copies.append((both := gloo(options))[1]) or both[0]}  # fmt: skip
        if options.mpich:
            ways["MPICH"] = lambda: plain_mpi("mpicc.mpich", ["mpirun.mpich"], options, directory)
        if options.ccl:
            ways["oneCCL"] = lambda: ccl(options, directory)
        times = {name: {} for name in ways}
        for _ in range(options.rounds):
            for name, measure in ways.items():
                for size, seconds in measure().items():
                    times[name].setdefault(size, []).append(seconds)
    factor = 2 * (options.ranks - 1) / options.ranks
    print(f"busbw in GB/s, {options.ranks} ranks, median of {options.rounds} runs that take turns\n")
    print("| bytes | " + " | ".join(ways) + " | Convoy / best other | Convoy / Open MPI | by memcpy |\n|--:|" + "--:|" * (len(ways) + 3))
    for size in times["Convoy"]:
        rates = {name: factor * size / statistics.median(times[name][size]) * 1e-9 for name in ways}
        best = max(rate for name, rate in rates.items() if name != "Convoy")
        cells = [f"{rate:.2f}" for rate in rates.values()]
        copy = statistics.median(it[size] for it in copies) / statistics.median(times["Convoy"][size])
        print(f"| {size:,} | {' | '.join(cells)} | {rates['Convoy'] / best:.2f} | {rates['Convoy'] / rates['Open MPI']:.2f} "
              f"| {copy:.2f} |")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
