"""Small images of coloured cells, as PNG in the page: sharp at any size, and printed even without backgrounds."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

from PIL import Image

from retrograd.present.markup import Markup

Colour = tuple[int, int, int]
SHADES = 64  # colours of a ramp
# dark to light in equal steps of lightness, so that the order is visible in grey
LOGARITHMIC: tuple[Colour, ...] = (
    (38, 18, 84), (60, 66, 150), (34, 120, 158), (52, 166, 140), (140, 206, 100), (248, 230, 110),
)  # fmt: skip
# cool to hot, for shares whose ideal value is 0
SHARE: tuple[Colour, ...] = ((206, 219, 224), (242, 196, 92), (222, 110, 36), (150, 30, 30), (84, 8, 24))
ZERO: Colour = (0, 0, 0)
NOT_FINITE: Colour = (230, 0, 126)
MISSING = SHADES + 2  # index of the transparent colour
SPECIAL = {"zero": SHADES, "not finite": SHADES + 1}


def shade(share: float) -> int:
    """Return the index of the colour at a position on the ramp, from 0 to 1."""
    return round(min(max(share, 0.0), 1.0) * (SHADES - 1))


def picture(cells: Sequence[Sequence[int]], ramp: Sequence[Colour]) -> Markup:
    """Return the URL `data:image/png;...` of an image with one pixel per cell; cells are indices of colours."""
    image = Image.frombytes("P", (len(cells[0]), len(cells)), b"".join(map(bytes, cells)))
    colours = [*(between(ramp, i / (SHADES - 1)) for i in range(SHADES)), ZERO, NOT_FINITE, ZERO]
    image.putpalette([part for colour in colours for part in colour])
    return _data_url(image, transparency=MISSING)


def true_picture(width: int, height: int, channels: int, pixels: bytes) -> Markup:
    """Return the URL of an image in its own colours: bytes [height, width, channels], with 1 or 3 channels."""
    return _data_url(Image.frombytes("L" if channels == 1 else "RGB", (width, height), pixels))


def _data_url(image: Image.Image, **settings: int) -> Markup:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=9, **settings)
    return Markup(f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}")


def between(ramp: Sequence[Colour], share: float) -> Colour:
    """Return the colour at a position on a ramp, from 0 to 1."""
    place = share * (len(ramp) - 1)
    first = min(int(place), len(ramp) - 2)
    low, high, weight = ramp[first], ramp[first + 1], place - first
    return (
        round(low[0] + (high[0] - low[0]) * weight),
        round(low[1] + (high[1] - low[1]) * weight),
        round(low[2] + (high[2] - low[2]) * weight),
    )
