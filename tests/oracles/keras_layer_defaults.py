"""Prints launcher/exchange/keras_defaults.cpp's table: what Keras 3 writes for each layer besides what Convoy sets.

KERAS_BACKEND=torch python keras_layer_defaults.py
"""

import json

import keras
from keras import layers

LAYERS = [
    (layers.Activation("relu"), (4, 4, 8)),
    (layers.Add(), [(4, 4, 8), (4, 4, 8)]),
    (layers.AveragePooling2D(2), (4, 4, 8)),
    (layers.BatchNormalization(), (4, 4, 8)),
    (layers.Concatenate(), [(4, 4, 8), (4, 4, 8)]),
    (layers.Conv2D(2, 3), (4, 4, 8)),
    (layers.Conv2DTranspose(2, 3), (4, 4, 8)),
    (layers.Dense(2), (8,)),
    (layers.DepthwiseConv2D(3), (4, 4, 8)),
    (layers.Dropout(0.5), (4, 4, 8)),
    (layers.ELU(), (4, 4, 8)),
    (layers.Flatten(), (4, 4, 8)),
    (layers.GlobalAveragePooling2D(), (4, 4, 8)),
    (layers.GlobalMaxPooling2D(), (4, 4, 8)),
    (layers.GroupNormalization(2), (4, 4, 8)),
    (layers.LayerNormalization(), (4, 4, 8)),
    (layers.LeakyReLU(), (4, 4, 8)),
    (layers.MaxPooling2D(2), (4, 4, 8)),
    (layers.Multiply(), [(4, 4, 8), (4, 4, 8)]),
    (layers.ReLU(), (4, 4, 8)),
    (layers.Reshape((1, 1, 8)), (8,)),
    (layers.SeparableConv2D(2, 3), (4, 4, 8)),
    (layers.Softmax(), (8,)),
    (layers.UpSampling2D(), (4, 4, 8)),
    (layers.ZeroPadding2D(), (4, 4, 8)),
]

for layer, shape in LAYERS:
    several = isinstance(shape, list)
    layer([keras.Input(one) for one in shape] if several else keras.Input(shape))
    whole = keras.saving.serialize_keras_object(layer)
    config = {key: value for key, value in whole["config"].items() if key not in ("name", "trainable", "dtype")}
    print(f'    {{"{type(layer).__name__}", {"true" if "build_config" in whole else "false"},')
    print(f'     R"({json.dumps(config)})"}},')
