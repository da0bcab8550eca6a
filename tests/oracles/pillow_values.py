#!/usr/bin/env python3
"""Prints the tables of Pillow's results in tests/core/image and tests/core/data/augment_policy_test.cpp.

   pip install 'pillow<13' numpy && python3 tests/oracles/pillow_values.py

Pillow 13 does the two passes of some resizes in the other order (core/image/resize.h).  Policies and matrices follow
torchvision 0.29.
"""
import math
import random

import numpy as np
from PIL import Image, ImageEnhance, ImageOps


def noise(width, height, channels, low=0, high=255):
    """As noise_image() in testing.h."""
    state, values = 1, bytearray()
    for _ in range(width * height * channels):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append(low + ((state >> 24) * (high - low + 1) >> 8))
    return Image.frombytes("RGB" if channels == 3 else "L", (width, height), bytes(values))


def fnv1a(image):
    value = 0xCBF29CE484222325
    for byte in image.tobytes():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"0x{value:016x}"


def resizes():
    draw = random.Random(1)
    filters = {"kBilinear": Image.BILINEAR, "kBicubic": Image.BICUBIC}
    sizes = [((500, 375), (224, 224)), ((1, 1), (1, 1)), ((1, 1), (7, 5)), ((1, 9), (4, 3)), ((9, 1), (3, 4)),
             ((40, 30), (1, 1)), ((28, 28), (28, 28)), ((28, 28), (28, 14)), ((28, 28), (14, 28)), ((5, 4), (300, 200)),
             ((700, 3), (3, 64)), ((9, 700), (64, 3)), ((333, 250), (256, 192)), ((17, 23), (21, 22))]
    sizes += [(tuple(draw.randint(1, 120) for _ in "wh"), tuple(draw.randint(1, 120) for _ in "wh")) for _ in range(26)]
    for k, ((w, h), size) in enumerate(sizes):
        quarter = lambda a, b: draw.randint(4 * a, 4 * b) / 4
        box = (0, 0, w, h)
        if k % 3 == 1:
            left, top = quarter(0, w - 1), quarter(0, h - 1)
            box = (left, top, left + quarter(1, int(w - left)), top + quarter(1, int(h - top)))
        if k % 3 == 2:
            left, top = draw.randint(0, w - 1), draw.randint(0, h - 1)
            box = (left, top, draw.randint(left + 1, w), draw.randint(top + 1, h))
        channels, name = (3, 1)[k % 2], list(filters)[k // 2 % 2]
        image = noise(w, h, channels).resize(size, filters[name], box)
        print(f"    {{{w}, {h}, {channels}, {{{', '.join(map(str, box))}}}, {{{size[0]}, {size[1]}}}, "
              f"ResizeFilter::{name}, {fnv1a(image)}}},")


def hue(image, turn):
    if image.mode == "L":
        return image
    h, s, v = image.convert("HSV").split()
    values = np.array(h, dtype=np.uint8)
    values += np.int32(turn * 255).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(values), s, v)).convert("RGB")


def enhance(kind):
    return lambda image, factor: kind(image).enhance(factor)


COLOURS = {
    "adjust_brightness": (enhance(ImageEnhance.Brightness), [0, 0.3, 1, 1.7]),
    "adjust_contrast": (enhance(ImageEnhance.Contrast), [0, 0.3, 1, 1.7]),
    "adjust_saturation": (enhance(ImageEnhance.Color), [0, 0.3, 1, 1.7]),
    "adjust_sharpness": (enhance(ImageEnhance.Sharpness), [0, 0.3, 1, 1.7]),
    "adjust_hue": (hue, [-0.5, -0.1, 0, 0.25, 0.5]),
    "posterize": (lambda image, bits: ImageOps.posterize(image, int(bits)), [1, 3, 8]),
    "solarize": (ImageOps.solarize, [0, 99.5, 100, 256]),
    "invert": (lambda image, _: ImageOps.invert(image), [0]),
    "autocontrast": (lambda image, _: ImageOps.autocontrast(image), [0]),
    "equalize": (lambda image, _: ImageOps.equalize(image), [0]),
}


def colours():
    images = [(37, 29, 3, 0, 255), (37, 29, 1, 0, 255), (40, 50, 3, 30, 140), (40, 50, 1, 200, 201), (2, 9, 3, 0, 255),
              (3, 3, 1, 7, 7)]
    for name, (change, factors) in COLOURS.items():
        for factor in factors:
            hashes = [fnv1a(change(noise(*image), float(np.float32(factor)))) for image in images]
            print(f"    {{{name}, {factor}, {{{', '.join(hashes)}}}}},")


def inverse_affine(centre, angle, translate, shear):
    rot, sx, sy = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    a = math.cos(rot - sy) / math.cos(sy)
    b = -math.cos(rot - sy) * math.tan(sx) / math.cos(sy) - math.sin(rot)
    c = math.sin(rot - sy) / math.cos(sy)
    d = -math.sin(rot - sy) * math.tan(sx) / math.cos(sy) + math.cos(rot)
    m = [d, -b, 0.0, -c, a, 0.0]
    m[2] += m[0] * (-centre[0] - translate[0]) + m[1] * (-centre[1] - translate[1])
    m[5] += m[3] * (-centre[0] - translate[0]) + m[4] * (-centre[1] - translate[1])
    m[2] += centre[0]
    m[5] += centre[1]
    return m


def affine(image, angle=0.0, translate=(0, 0), shear=(0.0, 0.0), centre=None, interpolation=Image.NEAREST, fill=0):
    if centre is None:
        centre = [image.width * 0.5, image.height * 0.5]
    fill = fill if image.mode == "L" else (fill,) * 3
    return image.transform(image.size, Image.AFFINE, inverse_affine(centre, angle, translate, shear), interpolation,
                           fillcolor=fill)


def rotate(image, angle, interpolation=Image.NEAREST, fill=0):
    return image.rotate(angle, interpolation, fillcolor=fill if image.mode == "L" else (fill,) * 3)


def both(change):
    return ", ".join(fnv1a(change(noise(43, 30, c), i)) for c in (3, 1) for i in (Image.NEAREST, Image.BILINEAR))


def affines():
    print("rotations")
    for angle in [0, 1, 30, -45, 90, 135, 180, 270, -359.5, 1000]:
        print(f"    {{{angle}, {{{both(lambda image, i: rotate(image, angle, i, 77))}}}}},")
    print("affine")
    for angle, sx, sy, tx, ty in [(0, 0, 0, 0, 0), (0, 0, 0, 5, -3), (0, 0, 0, -50, 0), (0, 16.7, 0, 0, 0),
                                  (0, 0, -40, 0, 0), (20, 10, 5, 2.5, 1.25), (-170, -30, 20, 0, 9)]:
        change = lambda image, i: affine(image, angle, (tx, ty), (sx, sy), None, i, 77)
        print(f"    {{{{.angle = {angle}, .shear_x = {sx}, .shear_y = {sy}, .translate_x = {tx}, .translate_y = {ty}, "
              f".centre_x = 21.5, .centre_y = 15}},\n     {{{both(change)}}}}},")


def apply_op(image, name, m):
    shear = math.degrees(math.atan(m))
    change = {
        "Identity": lambda: image,
        "ShearX": lambda: affine(image, shear=(shear, 0.0), centre=(0, 0)),
        "ShearY": lambda: affine(image, shear=(0.0, shear), centre=(0, 0)),
        "TranslateX": lambda: affine(image, translate=(int(m), 0)),
        "TranslateY": lambda: affine(image, translate=(0, int(m))),
        "Rotate": lambda: rotate(image, m),
        "Brightness": lambda: ImageEnhance.Brightness(image).enhance(1.0 + m),
        "Color": lambda: ImageEnhance.Color(image).enhance(1.0 + m),
        "Contrast": lambda: ImageEnhance.Contrast(image).enhance(1.0 + m),
        "Sharpness": lambda: ImageEnhance.Sharpness(image).enhance(1.0 + m),
        "Posterize": lambda: ImageOps.posterize(image, int(m)),
        "Solarize": lambda: ImageOps.solarize(image, m),
        "AutoContrast": lambda: ImageOps.autocontrast(image),
        "Equalize": lambda: ImageOps.equalize(image),
    }
    return change[name]()


def policies():
    def linspace(begin, end, i):
        begin, end, one = np.float32(begin), np.float32(end), np.float32(1)
        step = (end - begin) / np.float32(30)
        return float(begin + step * (one * i) if i < 15 else end - step * (one * (30 - i)))

    def space(shear, tx, ty, angle, factor, bits):
        return {"Identity": None, "ShearX": (0, shear), "ShearY": (0, shear), "TranslateX": (0, tx),
                "TranslateY": (0, ty), "Rotate": (0, angle), "Brightness": (0, factor), "Color": (0, factor),
                "Contrast": (0, factor), "Sharpness": (0, factor), "Posterize": bits, "Solarize": (255, 0),
                "AutoContrast": None, "Equalize": None}

    image = noise(60, 40, 3, 20, 200)
    for title, ops, i in [("rand 9", space(0.3, 150.0 / 331.0 * 60, 150.0 / 331.0 * 40, 30, 0.9, 4), 9),
                          ("trivial 22", space(0.99, 32, 32, 135, 0.99, 6), 22)]:
        print(title)
        for name, ends in ops.items():
            m = 0.0
            if name == "Posterize":
                m = float(8 - round(i / (30 / ends)))
            elif ends:
                m = linspace(*ends, i)
            hashes = [fnv1a(apply_op(image, name, m))]
            signed = name not in ("Identity", "Posterize", "Solarize", "AutoContrast", "Equalize")
            hashes.append(fnv1a(apply_op(image, name, -m)) if signed else hashes[0])
            print(f"    {{{m!r}, {', '.join(hashes)}}},  // {name}")


if __name__ == "__main__":
    for part in (resizes, colours, affines, policies):
        print(f"--- {part.__name__}")
        part()
