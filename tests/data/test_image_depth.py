"""Images of every depth: their values are preserved, scaled by the training part, and read alike by a model file."""

import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from retrograd.base.errors import DataError, RetrogradWarning
from retrograd.data.dataset import from_arrays, load
from retrograd.data.images.decoding import Form, decode
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.settings import DataSettings
from retrograd.data.source import read_file

DEEP = Form(2, 3, "grey", "stretch", 10_000, 1 << 20, deep=True)
VALUES = np.array([[0, 1, 255], [256, 29_520, 65_535]], np.uint16)


def saved(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def thermal(folder, low, high, dtype=np.uint16, suffix="png", count=12):
    """Write images of two barely different classes: all pixels near `low` or near `high`."""
    rng = np.random.default_rng(0)
    for i in range(count):
        level, noise = (low, high)[i % 2], rng.uniform(-0.2, 0.2, (8, 8)) * (high - low)
        saved(folder / ("cold", "warm")[i % 2] / f"{i}.{suffix}", Image.fromarray((level + noise).astype(dtype)))
    return DataSettings(path=str(folder), images={"size": 4, "color": "grey"})


def png_of_16_bit_colour(path, pixels):
    """Write uint16 [height, width, 3] as a PNG; Pillow cannot."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(data))


@pytest.mark.parametrize(
    ("suffix", "image", "expected"),
    [
        ("png", Image.fromarray(VALUES), VALUES / 257),
        ("tif", Image.fromarray(VALUES), VALUES / 257),
        ("tif", Image.fromarray(VALUES.astype(">u2")), VALUES / 257),  # I;16B
        ("tif", Image.fromarray(VALUES.astype(np.int32) * 100), VALUES * 100.0),
        ("tif", Image.fromarray(VALUES.astype(np.float32) / 7), VALUES / np.float32(7)),
        ("png", Image.fromarray((VALUES % 256).astype(np.uint8)), VALUES % 256),
        ("png", Image.fromarray(VALUES > 255).convert("1"), (VALUES > 255) * 255),
        ("png", Image.fromarray((VALUES % 256).astype(np.uint8)).convert("P"), VALUES % 256),
        ("tif", Image.merge("CMYK", [Image.new("L", (3, 2))] * 3 + [Image.new("L", (3, 2), 55)]), np.full((2, 3), 200)),
    ],
)
def test_each_kind_of_pixel_keeps_its_value(tmp_path, suffix, image, expected):
    path = saved(tmp_path / f"a.{suffix}", image)
    pixels = decode(path, DEEP)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels[..., 0], expected, rtol=1e-6)
    colour = decode(path, Form(2, 3, "rgb", "stretch", 10_000, 1 << 20, deep=True))
    np.testing.assert_allclose(colour[..., 1], expected, rtol=1e-6)


def test_deep_images_are_rotated_resized_and_padded_like_others(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    turned = saved(tmp_path / "turned.png", Image.fromarray(np.array([[1000, 2000, 3000]], np.uint16)), exif=exif)
    np.testing.assert_allclose(
        decode(turned, Form(3, 1, "grey", "stretch", 99, 9999, True)).ravel() * 257, [1e3, 2e3, 3e3]
    )
    even = saved(tmp_path / "even.png", Image.fromarray(np.full((8, 4), 29_520, np.uint16)))
    for fit in ("stretch", "crop"):
        np.testing.assert_allclose(decode(even, Form(2, 2, "grey", fit, 99, 9999, True)), 29_520 / 257, rtol=1e-6)
    assert decode(even, Form(4, 4, "grey", "pad", 99, 9999, True))[:, 0].max() == 0


@pytest.mark.parametrize(
    ("low", "high", "dtype", "suffix"),
    [
        (29_520, 29_610, np.uint16, "png"),
        (1000, 4_000, np.uint16, "tif"),  # 12 bits in 16
        (291.0, 293.5, np.float32, "tiff"),  # kelvin
        (0.001, 0.002, np.float32, "tiff"),
        (2_000_000, 2_000_400, np.int32, "tif"),
    ],
)
def test_a_narrow_range_of_deep_pixels_still_separates_the_classes(tmp_path, low, high, dtype, suffix):
    data = load(thermal(tmp_path / "set", low, high, dtype, suffix))
    assert any("pixels keep their full depth" in note for note in data.notes)
    np.testing.assert_allclose([data.train["x"].mean(), data.train["x"].std()], [0, 1], atol=1e-3)
    means = data.train["x"].mean((1, 2, 3))
    warm = data.train["y"][:, 0] == 1
    assert means[warm].min() - means[~warm].max() > 1
    again = Preprocessing.from_json(json.loads(json.dumps(data.preprocessing.to_json())))
    assert again == data.preprocessing
    rows = read_file(next((tmp_path / "set" / "warm").iterdir()), DataSettings())
    assert again.transform(rows, with_target=False)["x"].mean() > 0.5


def test_few_levels_of_8_bits_are_stretched_and_reported_and_a_chosen_scale_is_left_alone(tmp_path):
    settings = thermal(tmp_path / "set", 115, 121, np.uint8)
    with pytest.warns(
        RetrogradWarning, match=r"pixels use only levels 11\d to 12\d of 0 to 255, so they are standardised"
    ):
        data = load(settings)
    np.testing.assert_allclose(data.train["x"].std(), 1, atol=1e-3)
    chosen = load(DataSettings(path=settings.path, images=settings.images, scale={"divide": 255}))
    assert chosen.train["x"].std() < 0.02
    stretched = load(DataSettings(path=settings.path, images=settings.images, scale="minmax"))
    assert (stretched.train["x"].min(), stretched.train["x"].max()) == (0, 1)
    wide = load(thermal(tmp_path / "wide", 60, 180, np.uint8))
    assert not any("depth" in note for note in wide.notes)
    assert 0.1 < wide.train["x"].min() < wide.train["x"].max() < 1


def test_depths_pages_and_half_read_colours_in_one_folder_are_reported(tmp_path):
    folder = tmp_path / "set"
    settings = thermal(folder, 10_000, 50_000)
    saved(folder / "cold" / "x.png", Image.fromarray(np.full((8, 8), 60, np.uint8)))
    page = Image.fromarray(np.full((8, 8), 9_000, np.uint16))
    saved(folder / "cold" / "y.tif", page, save_all=True, append_images=[page])
    png_of_16_bit_colour(folder / "warm" / "z.png", np.full((8, 8, 3), 40_000))
    notes = " ".join(load(settings).notes)
    assert "(16-bit: 13, 8-bit: 2), converted to one scale from 0 to 255" in notes
    assert "1 image with several pages; only the first is read: y.tif" in notes
    assert "1 image with 16 bits per channel; only the upper 8 are read" in notes
    assert "z.png" in notes


def test_unreadable_images_are_named_or_left_out_as_the_settings_say(tmp_path):
    folder = tmp_path / "set"
    settings = thermal(folder, 60, 180, np.uint8)
    bad = folder / "cold" / "bad.png"
    bad.write_text("no image")
    cut = folder / "warm" / "1.png"
    cut.write_bytes(cut.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"bad.png: not an image.*[\s\S]*`images: {unreadable: skip}`"):
        load(DataSettings(path=str(folder), images=settings.images, split={"method": "none"}))
    skipping = DataSettings(path=str(folder), images={"size": 4, "color": "grey", "unreadable": "skip"})
    with pytest.warns(
        RetrogradWarning, match=r"2 of 13 images cannot be read and are skipped: .*bad.png: not an image"
    ):
        data = load(skipping)
    assert sum(data.rows.values()) == 11
    rows = read_file(folder, skipping)
    with pytest.warns(RetrogradWarning, match="2 of 13 images"):
        assert len(data.preprocessing.rows_of(rows)) == 11
    for path in folder.rglob("*.png"):
        path.write_text("")
    with pytest.raises(DataError, match="none of 13 images can be read"):
        load(skipping)


def test_deep_arrays_are_images_too():
    rng = np.random.default_rng(0)
    x, y = rng.integers(29_000, 30_000, (12, 5, 5)), np.arange(12) % 2
    settings = DataSettings(images={"color": "grey"}, split={"method": "none"})
    for array in (x, x / 1000.0):
        images = from_arrays(array, y, settings=settings).train["x"][..., 0]
        np.testing.assert_allclose(images, (array - array.mean()) / array.std(), atol=1e-2)
