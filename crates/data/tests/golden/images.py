"""PNG images as Pillow writes them, and their values from 0 to 1. Pillow 13.0.0; no random numbers.

    python3 images.py
"""

import json
import struct
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 13, 7
FOLDER = Path(__file__).parent / "images"


def byte(x, y, channel):
    return (37 * x + 59 * y + 101 * channel + x * y) % 256


def grey(bits):
    full = 2**bits - 1
    return [[byte(x, y, 0) * full // 255 for x in range(WIDTH)] for y in range(HEIGHT)]


def save(name, image, values, **options):
    image.save(FOLDER / f"{name}.png", **options)
    return [round(value, 17) for value in values]


def main():
    FOLDER.mkdir(exist_ok=True)
    size = (WIDTH, HEIGHT)
    pixels = [(x, y) for y in range(HEIGHT) for x in range(WIDTH)]
    colours = [tuple(byte(x, y, channel) for channel in range(3)) for x, y in pixels]
    greys = [byte(x, y, 0) for x, y in pixels]
    expected = {}

    image = Image.frombytes("L", size, bytes(greys))
    expected["grey"] = save("grey", image, [value / 255 for value in greys])
    image = Image.frombytes("L", size, bytes(255 * (value > 99) for value in greys)).convert("1")
    expected["bits"] = save("bits", image, [float(value > 99) for value in greys])
    wide = [(257 * value + 91 * x) % 65536 for value, (x, _) in zip(greys, pixels)]
    image = Image.frombytes("I;16", size, struct.pack(f"<{len(wide)}H", *wide))
    expected["wide"] = save("wide", image, [value / 65535 for value in wide])
    image = Image.new("RGB", size)
    image.putdata(colours)
    flat = [value / 255 for colour in colours for value in colour]
    expected["colour"] = save("colour", image, flat)
    opaque = image.copy()
    opaque.putalpha(255)
    expected["opaque"] = save("opaque", opaque, flat)
    clear = image.copy()
    clear.putalpha(Image.frombytes("L", size, bytes([254] + [255] * (len(pixels) - 1))))
    save("clear", clear, [])
    palette = Image.new("P", size)
    palette.putpalette([value for i in range(11) for value in (20 * i, 255 - 20 * i, 7 * i)])
    indices = [value % 11 for value in greys]
    palette.putdata(indices)
    table = [[20 * i / 255, (255 - 20 * i) / 255, 7 * i / 255] for i in indices]
    expected["palette"] = save("palette", palette, [v for entry in table for v in entry], bits=4)

    (FOLDER / "expected.json").write_text(json.dumps(expected) + "\n")


main()
