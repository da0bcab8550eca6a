"""Makes tests/core/io/keras.zip: small models by Keras in each of its formats.  Needs Keras 3 and h5py.

KERAS_BACKEND=torch python3 tests/oracles/keras_files.py

Every weight is an arithmetic sequence: element i of weight number w of the network is w + i/64 (`expected` in
keras_file_test.cpp), so that the test needs no copy of it.
"""
import tempfile
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

target = Path(__file__).parent.parent / "core/io/keras.zip"


def fill(variables):
    for number, variable in enumerate(variables):
        variable.assign((number + np.arange(np.prod(variable.shape)) / 64).reshape(variable.shape))


def plain():
    """Two layers of a class, one without weights, names of our own, dropout with its random state."""
    model = keras.Sequential(name="plain")
    model.add(layers.Input((6, 6, 3)))
    model.add(layers.Conv2D(2, 3, name="first"))
    model.add(layers.BatchNormalization(name="norm"))
    model.add(layers.MaxPooling2D(name="pool"))
    model.add(layers.Conv2D(4, 1, name="second"))
    model.add(layers.Flatten(name="flat"))
    model.add(layers.Dropout(0.5, name="drop"))
    model.add(layers.Dense(3, name="head"))
    fill(model.weights)
    return model


def nested():
    inside = keras.Input((4, 4, 2))
    x = layers.Conv2D(2, 3, name="conv")(inside)
    base = keras.Model(inside, layers.BatchNormalization(name="norm")(x), name="base")
    outside = keras.Input((4, 4, 2))
    x = layers.Dense(2, name="head")(layers.Flatten(name="flat")(base(outside)))
    model = keras.Model(outside, x, name="outer")
    fill(model.weights)
    return model


def keras_one(path):
    """As keras.applications' VGG16: names of Keras 1, fixed-length strings, no version."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([b"block1_conv1", b"block1_pool", b"fc1"])
        for name, shapes in [("block1_conv1", [(3, 3, 3, 2), (2,)]), ("block1_pool", []), ("fc1", [(2, 5), (5,)])]:
            group = file.create_group(name)
            names = [f"{name}_{kind}_1:0" for kind in ("W", "b")[: len(shapes)]]
            group.attrs["weight_names"] = np.array([text.encode() for text in names])
            for text, shape in zip(names, shapes):
                group[text] = np.full(shape, len(shape), "float32")


def split_names(path):
    """Lists too long for one attribute, cut up by Keras' own function."""
    from keras.src.legacy.saving.legacy_h5_format import save_attributes_to_hdf5_group
    names = [f"{i:03}".ljust(1100, "x") for i in range(64)]
    with h5py.File(path, "w") as file:
        save_attributes_to_hdf5_group(file, "layer_names", [name.encode() for name in names[:1]])
        group = file.create_group(names[0])
        save_attributes_to_hdf5_group(group, "weight_names", [name.encode() for name in names])
        assert "weight_names0" in group.attrs and "weight_names" not in group.attrs
        for number, name in enumerate(names):
            group[name] = np.float32(number)


def tensorflow_213(path, model):
    """`layers` had another name, and `vars` no attribute."""
    model.save_weights(path)
    with h5py.File(path, "a") as file:
        file.move("layers", "_layer_checkpoint_dependencies")
        file.visititems(lambda _, item: item.attrs.pop("name", None) and None)


def deflated(source, to):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    model = plain()
    model.save_weights(folder / "plain.weights.h5")
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    fill(model.optimizer.variables)
    model.save(folder / "plain.keras")  # first: what saves .h5 takes the optimizer out of the model's settings
    model.save(folder / "plain.h5")
    deflated(folder / "plain.keras", folder / "deflated.keras")
    nested().save(folder / "nested.h5")
    nested().save(folder / "nested.keras")
    keras_one(folder / "keras1.h5")
    split_names(folder / "split.h5")
    tensorflow_213(folder / "old.weights.h5", plain())
    keras.config.set_dtype_policy("bfloat16")
    plain().save_weights(folder / "bfloat16.weights.h5")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.iterdir()):
            archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED)
print(target.stat().st_size, "bytes")
