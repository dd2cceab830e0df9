"""Images that use few of the levels a pixel has: they are told, and stretched."""

from __future__ import annotations

import numpy as np

from retrograd.data.images.pixels import Pixels

NARROW = 0.05  # of 255 levels: what scikit-image's `is_low_contrast` calls low contrast
SAMPLE = 256  # images, spread evenly


def narrow_range(pixels: Pixels) -> tuple[int, int] | None:
    """Return the lowest and highest level of images of 8 bits, if they lie close together but are not all the same."""
    if pixels.form.deep or not len(pixels):
        return None
    rows = np.arange(0, len(pixels), max(1, len(pixels) // SAMPLE))
    seen = pixels.batch(rows) if pixels.kept is None else pixels.kept[rows]
    low, high = int(seen.min()), int(seen.max())
    return (low, high) if 0 < high - low < NARROW * 255 else None
