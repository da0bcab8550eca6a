"""What damaged HDF5 files do to convoy-h5, and through it to convoy: nothing worse than exit code 65.

python3 tests/fuzz/hdf5_children.py BUILD [FILES=3000] [SEED=1]

Mutates the files of tests/core/io/{hdf5,keras}.zip (bits, bytes, lengths, pieces of one in another, cut ends) and opens
each with BUILD/convoy inspect or convert, as many at a time as there are processors.  Counts how the parent ended, and
how the child did, from the message.  Exit 0: every parent ended with 0, 64, 65 or 78 and one line, within 5 s; else 1,
and the files are in /tmp/hdf5_children.
"""
import collections
import concurrent.futures
import os
import random
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ALLOWED = {0, 64, 65, 78}  # 64: weights only, of an unknown network
MOST_SECONDS = 5
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1]

build = Path(sys.argv[1]).resolve()
count = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
keep = Path("/tmp/hdf5_children")
keep.mkdir(exist_ok=True)


def seeds():
    folder = Path(__file__).resolve().parent.parent / "core/io"
    files = []
    for name in ("hdf5.zip", "keras.zip"):
        with zipfile.ZipFile(folder / name) as archive:
            files += [archive.read(member) for member in archive.namelist() if member.endswith(".h5")]
    return files


def mutated(choice, files):
    """A file with 1 to 8 changes; most of them where its structure is, which is not zeros."""
    data = bytearray(choice.choice(files))

    def place(bytes_):
        for _ in range(20):
            at = choice.randrange(max(len(data) - bytes_, 1))
            if any(data[at:at + bytes_]):
                break
        return at

    for _ in range(choice.choice([1, 1, 1, 2, 3, 5, 8])):
        kind = choice.randrange(7)
        if len(data) < 16:
            break
        if kind == 0:
            data[place(1)] ^= 1 << choice.randrange(8)
        elif kind == 1:
            data[place(1)] = choice.randrange(256)
        elif kind in (2, 3):
            size = choice.choice([1, 2, 4, 8])
            at = place(size)
            number = choice.choice(NUMBERS) if choice.random() < 0.7 else choice.randrange(len(data))
            data[at:at + size] = (number % (1 << 8 * size)).to_bytes(size, "little")
        elif kind == 4:
            other = choice.choice(files)
            size = min(choice.choice([8, 64, 512]), len(other) - 1)
            begin, at = choice.randrange(len(other) - size), place(size)
            data[at:at + size] = other[begin:begin + size]
        elif kind == 5:
            size = choice.choice([8, 64, 512])
            begin, at = place(size), place(size)
            data[at:at + size] = data[begin:begin + size]
        elif choice.random() < 0.3:
            del data[choice.randrange(len(data)):]
    return bytes(data)


def try_one(number):
    choice = random.Random(seed * 1_000_003 + number)
    path = keep / f"{os.getpid()}-{number}.h5"
    path.write_bytes(mutated(choice, files))
    command = [build / "convoy", "inspect", path]
    if choice.random() < 0.3:
        command = [build / "convoy", "convert", path, path.with_suffix(".safetensors")]
    begin = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60)
        code, text = done.returncode, done.stderr.strip()
    except subprocess.TimeoutExpired:
        code, text = -999, "does not end"
    seconds = time.monotonic() - begin
    path.with_suffix(".safetensors").unlink(missing_ok=True)
    lines = [line for line in text.splitlines() if "running as root" not in line]
    fine = code in ALLOWED and seconds <= MOST_SECONDS and (code == 0 or (len(lines) == 1 and path.name in lines[0]))
    if fine:
        path.unlink()
    child = re.search(r"convoy-h5, which opens it, (was ended by signal \d+|was silent|ended with \d+)", text)
    return code, seconds, child.group(1) if child else "", fine, f"{path}: {code} after {seconds:.2f} s: {text[:300]}"


files = seeds()
codes, children, longest, bad = collections.Counter(), collections.Counter(), 0, []
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    for code, seconds, child, fine, text in pool.map(try_one, range(count)):
        codes[code] += 1
        longest = max(longest, seconds)
        if child:
            children[child] += 1
        if not fine:
            bad.append(text)
print(f"{count} files, seed {seed}: exit codes {dict(sorted(codes.items()))}; longest {longest:.2f} s")
print(f"children: {dict(sorted(children.items())) or 'none ended otherwise than by itself'}")
for text in bad:
    print(text)
sys.exit(1 if bad else 0)
