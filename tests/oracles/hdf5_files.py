"""Makes tests/core/io/hdf5.zip: files by h5py, good ones and such as must be refused.  Needs h5py and NumPy.

python3 tests/oracles/hdf5_files.py
"""
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np

target = Path(__file__).parent.parent / "core/io/hdf5.zip"
temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
numbers = np.arange(6, dtype="float32").reshape(2, 3)


def make(name, **options):
    """A new file, with one honest dataset."""
    file = h5py.File(folder / f"{name}.h5", "w", **options)
    file["a"] = numbers
    return file


with make("good") as file:
    file.attrs["text"] = "variable, ü"
    file.attrs["bytes"] = b"ascii"
    file.attrs["fixed"] = np.array([b"one", b"three"])
    file.attrs["list"] = ["one", "", "three"]
    file.attrs["empty"] = []  # float64
    file.attrs["number"] = 3
    file.attrs["numbers"] = [1.5, 2.5]
    file.attrs["nothing"] = h5py.Empty("f")
    file.attrs["table"] = [["a", "b"]]
    group = file.create_group("types")
    group["f16"] = numbers.astype("float16")
    group["f64"] = numbers.astype("float64") / 3
    group["big_endian"] = numbers.astype(">f4")
    group["i8"] = (numbers - 3).astype("int8")
    group["u32"] = numbers.astype("uint32") * 1000
    group["i64"] = np.int64(7)
    high = (numbers.view("uint32") >> 16).astype("uint16")
    group["bf16_uint16"] = high
    group["bf16_uint16"].attrs["dtype"] = "bfloat16"
    group["bf16_opaque"] = high.view("V2")
    group["bf16_opaque"].attrs["dtype"] = "bfloat16"
    group["uint16"] = high
    group["none"] = np.zeros((3, 0, 2), "float32")
    file.create_dataset("packed/deflated", data=np.tile(numbers, (100, 1)), chunks=(7, 2), compression="gzip",
                        shuffle=True, fletcher32=True)
    file.create_dataset("packed/chunked", data=numbers, chunks=(1, 3))
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    small = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((6,)), compact)
    small.write(h5py.h5s.ALL, h5py.h5s.ALL, numbers.ravel())
with make("newest", libver="latest", track_order=True) as file:
    file.create_group("z").attrs["text"] = "first"
    file["b/c"] = numbers

with make("many", libver="v110") as file:  # links and attributes in heaps, which libhdf5 sorts with qsort()
    for i in range(60):
        file[f"w{i}"] = numbers[:1]
        file.attrs[f"text{i}"] = "t"
with make("many_in_order", libver="v110", track_order=True) as file:
    for i in range(60):
        file[f"w{i}"] = numbers[:1]

with make("checksum") as file:
    file.create_dataset("w", data=numbers, chunks=(2, 3), fletcher32=True)
damaged = bytearray((folder / "checksum.h5").read_bytes())
damaged[damaged.rindex(numbers.tobytes())] ^= 1  # the second; the first is /a
(folder / "checksum.h5").write_bytes(damaged)

with make("external_storage") as file:
    file.create_dataset("w", shape=(5,), dtype="uint8", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])
with make("external_link") as file:
    file["w"] = h5py.ExternalLink("/tmp/elsewhere.h5", "/w")
with make("soft_link") as file:
    file["w"] = h5py.SoftLink("/a")
with make("hard_link") as file:
    file["w"] = file["a"]
with make("cycle") as file:
    file["g/h/up"] = file["/"]
with make("virtual") as file:
    layout = h5py.VirtualLayout((2, 3), "float32")
    layout[:] = h5py.VirtualSource("/tmp/elsewhere.h5", "a", (2, 3))
    file.create_virtual_dataset("w", layout)
with make("filter") as file:
    file.create_dataset("w", data=numbers, chunks=(2, 3), compression="lzf")
with make("compound") as file:
    file["w"] = np.zeros(2, [("x", "f4"), ("y", "i4")])
with make("strings") as file:
    file["w"] = ["a", "b"]
with make("reference") as file:
    file.create_dataset("w", data=[file["a"].ref], dtype=h5py.ref_dtype)
with make("ragged") as file:
    file.create_dataset("w", (2,), h5py.vlen_dtype("f4"))
with make("own_type") as file:
    file["w"] = np.dtype("f4")
with make("hole") as file:  # contiguous, never written
    file.create_dataset("w", (1 << 40,), "f4")
with make("bomb") as file:  # chunked, never written
    file.create_dataset("w", (1 << 30, 64), "f4", chunks=(1024, 64), compression="gzip")
with make("deep", libver="latest") as file:
    file["/".join("d" * 70)] = numbers
with make("not_utf8") as file:
    file.attrs.create("text", b"\xff\xfe", dtype="S2")

with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for path in sorted(folder.iterdir()):
        archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED)
temporary.cleanup()
print(target.stat().st_size, "bytes")
