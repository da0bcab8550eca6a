"""Whether Keras opens what Convoy writes: predictions, training_config and optimizer are those of the original.

KERAS_BACKEND=torch python3 tests/oracles/keras_reads.py build/release/keras_copy
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

copy = sys.argv[1]
random = np.random.default_rng(1)
images, labels = random.random((16, 8, 8, 3), "float32"), random.integers(0, 3, 16)


def network():
    inside = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(inside))
    base = keras.Model(inside, layers.Conv2D(4, 1)(layers.Dropout(0.1)(x)), name="base")
    model = keras.Sequential([keras.Input((8, 8, 3)), base, layers.MaxPooling2D(), layers.Flatten(), layers.Dense(3, name="head")])
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, epochs=3, verbose=0)
    return model


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b))


model = network()
expected = model.predict(images, verbose=0)
with tempfile.TemporaryDirectory() as name:
    for ending in (".keras", ".h5", ".weights.h5"):  # .keras first: see keras_files.py
        original, copied = f"{name}/original{ending}", f"{name}/copied{ending}"
        (model.save_weights if ending == ".weights.h5" else model.save)(original)
        subprocess.run([copy, original, copied], check=True)
        if ending == ".weights.h5":
            other = keras.models.clone_model(model)
            other.load_weights(copied)
        else:
            # Not `model`: of a .h5 with optimizer_weights, Keras 3.15 builds an optimizer without variables, of its own
            # files too, and fit() fails.
            reference, other = keras.models.load_model(original), keras.models.load_model(copied)
            assert same(values(reference.optimizer.variables), values(other.optimizer.variables)), "optimizer"
            assert other.optimizer.get_config() == model.optimizer.get_config(), "optimizer's settings"
        found = other.predict(images, verbose=0)
        assert np.array_equal(found, expected), f"{ending}: {np.abs(found - expected).max()}"
        if ending == ".keras":
            before = other.evaluate(images, labels, verbose=0)
            after = other.fit(images, labels, epochs=5, verbose=0).history["loss"][-1]
            assert after < before, (before, after)
        print(f"{ending}: the same predictions; {Path(original).stat().st_size} and {Path(copied).stat().st_size} bytes")
    # Weights only, as of Keras 2.
    subprocess.run([copy, f"{name}/original.h5", f"{name}/old.h5", "1"], check=True)
    other = keras.models.clone_model(model)
    other.load_weights(f"{name}/old.h5")
    assert np.array_equal(other.predict(images, verbose=0), expected)
    with h5py.File(f"{name}/old.h5") as file:
        print("legacy weights: the same predictions;", list(file.attrs["layer_names"]))
