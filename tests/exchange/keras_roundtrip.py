"""Keras models through Convoy and back: the same predictions, and fit() goes on.

KERAS_BACKEND=torch python keras_roundtrip.py CONVOY [NAME...]

Each model is compiled, fitted for two steps and saved by Keras; `convoy convert` writes it in each format; Keras loads
that, must predict the same (1e-5), and takes one more step of fit() from it and from its own file.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile

import keras
import numpy as np
from keras import layers as L

TOLERANCE = 1e-5


def plain(optimizer="adam"):
    model = keras.Sequential(
        [
            keras.Input((13, 11, 3)),
            L.Conv2D(5, 3, strides=2, padding="same", activation="relu"),
            L.BatchNormalization(momentum=0.9),
            L.MaxPooling2D(2, padding="same"),
            L.Conv2D(6, (3, 2), use_bias=False),
            L.ReLU(),
            L.Dropout(0.2),
            L.Flatten(),
            L.Dense(7, activation="relu"),
            L.Dense(5, activation="softmax"),
        ]
    )
    return model, optimizer


def momentum():
    return plain(keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True))


def decoupled():
    return plain(keras.optimizers.AdamW(0.01, weight_decay=0.05))


def branches():
    image = keras.Input((12, 10, 3))
    x = L.Conv2D(8, 3, padding="same", activation="relu")(image)
    y = L.Conv2D(8, 3, padding="same", groups=2)(x)
    y = L.BatchNormalization(scale=True)(y)
    x = L.Activation("relu")(L.Add()([x, y]))
    a, b = L.Conv2D(3, 1)(x), L.AveragePooling2D(3, strides=1, padding="same")(x)
    x = L.Concatenate()([a, b])
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(image, L.Dense(4)(x)), keras.optimizers.SGD(0.05)


def vgg():
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    model = keras.Sequential([keras.Input((32, 32, 3)), base, L.Flatten(), L.Dense(10, activation="softmax")])
    return model, keras.optimizers.SGD(1e-3)


def nested_frozen():
    base = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU()], name="base")
    base.trainable = False
    image = keras.Input((8, 8, 3))
    return keras.Model(image, L.Dense(3, activation="softmax")(L.Flatten()(base(image)))), "adam"


def elementwise():
    names = ["sigmoid", "tanh", "silu", "hard_sigmoid", "hard_silu", "relu6", "gelu", "elu"]
    layers = [keras.Input((6, 5, 4))]
    for name in names:
        layers += [L.Conv2D(4, 1), L.Activation(name)]
    layers += [L.Conv2D(4, 1), L.LeakyReLU(negative_slope=0.1), L.ReLU(max_value=6), L.ELU(alpha=0.7)]
    return keras.Sequential(layers + [L.GlobalMaxPooling2D(), L.Dense(3, activation="softmax")]), "adam"


def windows():
    image = keras.Input((9, 7, 4))
    x = L.ZeroPadding2D(((1, 2), (0, 1)))(image)
    x = L.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same", activation="relu")(x)
    x = L.SeparableConv2D(6, 3, padding="same")(x)
    x = L.UpSampling2D(2, interpolation="bilinear")(L.UpSampling2D((2, 1))(x))
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same")(x)
    x = L.Conv2DTranspose(4, 2, strides=3, padding="valid")(x)
    x = L.LayerNormalization()(x)
    x = L.GroupNormalization(2)(x)
    gate = L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
    x = L.Multiply()([x, gate])
    return keras.Model(image, L.Dense(3, activation="softmax")(L.Flatten()(x))), "adam"


MODELS = [plain, momentum, decoupled, branches, nested_frozen, vgg, elementwise, windows]


def convert(convoy, source, to, probabilities):
    output = "probabilities" if probabilities else "logits"
    run = subprocess.run([convoy, "convert", source, to, f"--output={output}"], capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"convert ended with {run.returncode}: {run.stdout[-300:]}{run.stderr[-500:]}")


def predict(convoy, model, array, probabilities):
    """What Convoy makes of the numbers in `array`: probabilities, or logits."""
    arguments = [convoy, "predict", model, array, "--format=jsonl", "--logits"]
    text = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    logits = np.array([json.loads(line)["logits"] for line in text.splitlines()])
    if not probabilities:
        return logits
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def one_more_step(path, x, y):
    keras.utils.set_random_seed(3)  # of dropout
    model = keras.models.load_model(path)
    model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0)
    return model.predict(x, verbose=0)


def without_ids(value):
    if isinstance(value, dict):
        return {key: without_ids(one) for key, one in value.items() if key not in ("shared_object_id", "convoy")}
    return [without_ids(one) for one in value] if isinstance(value, list) else value


def check(make, convoy, folder):
    keras.utils.set_random_seed(1)
    model, optimizer = make()
    classes = model.output_shape[-1]
    probabilities = getattr(model.layers[-1], "activation", None) is keras.activations.softmax
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not probabilities)
    model.compile(optimizer, "sparse_categorical_crossentropy" if probabilities else loss, metrics=["accuracy"])
    x = np.random.default_rng(2).random((8, *model.input_shape[1:]), dtype=np.float32)
    y = np.arange(8) % classes
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    expected = model.predict(x, verbose=0)
    own = f"{folder}/own"
    model.save(own + ".keras")  # first: saving an .h5 takes the optimizer out of what is saved next
    model.save_weights(own + ".weights.h5")
    model.save(own + ".h5")
    np.save(f"{folder}/x.npy", x)
    for source in (own + ".keras", own + ".h5"):
        off = np.abs(predict(convoy, source, f"{folder}/x.npy", probabilities) - expected).max()
        print(f"  {os.path.basename(source):10} predicted by Convoy {off:.1e}")
        assert off <= TOLERANCE, f"{source[-6:]}: Convoy predicts otherwise: {off}"
        for end in (".keras", ".h5", ".weights.h5"):
            ours = f"{folder}/ours{end}"
            convert(convoy, source, ours, probabilities)
            if end == ".weights.h5":
                copy = keras.models.load_model(f"{folder}/ours.keras")
                copy.load_weights(ours)
            else:
                copy = keras.models.load_model(ours)
            off = np.abs(copy.predict(x, verbose=0) - expected).max()
            assert off <= TOLERANCE, f"{source[-6:]} -> {end}: predictions differ by {off}"
            print(f"  {os.path.basename(source):10} -> {end:11} {off:.1e}", end="")
            if end == ".keras" and source.endswith(".keras"):
                again = f"{folder}/again.keras"
                copy.save(again)
                mine, theirs = (json.loads(zipfile.ZipFile(p).read("config.json")) for p in (ours, again))
                same = without_ids(mine["config"]) == without_ids(theirs["config"])
                print(f", config {'the same' if same else 'DIFFERS'}", end="")
                step = np.abs(one_more_step(ours, x, y) - one_more_step(own + end, x, y)).max()
                print(f", a step of fit differs by {step:.1e}", end="")
                assert step <= TOLERANCE, f"fit goes on otherwise: {step:.1e}"
            print()


def main():
    convoy, names = sys.argv[1], sys.argv[2:]
    failed = 0
    for make in MODELS:
        if names and make.__name__ not in names:
            continue
        print(make.__name__)
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(make, convoy, folder)
            except (AssertionError, RuntimeError) as error:
                failed += 1
                print(f"  FAILED: {error}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
