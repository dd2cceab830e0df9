"""Images with more than 8 bits per pixel: a survey of their headers, and their values as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting
from retrograd.present.wording import some_of

SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
LEVELS = 257.0  # 65535 / 255: levels of 16 bits per level of 8 bits
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # weights of red, green and blue: ITU-R 601, as in Pillow
SHOWN = 3
SCALING = data_setting("scale") + " sets another scaling)"


@dataclass(frozen=True)
class Survey:
    """The number of images by bits per pixel, those with several pages, and those that lose half of their bits."""

    depths: Counter[str]
    pages: tuple[str, ...]
    halved: tuple[str, ...]

    @property
    def deep(self) -> bool:
        """Whether 8 bits would lose information."""
        return bool(set(self.depths) - {"8-bit"})

    def notes(self, own_scale: bool) -> Iterator[str]:
        """Yield remarks worth showing; `own_scale` means that the settings choose the scale."""
        if self.deep:
            counts = some_of([f"{name}: {count}" for name, count in sorted(self.depths.items())])
            scaled = "" if own_scale else "; standardised on the training part (" + SCALING
            mixed = ", converted to one scale from 0 to 255" if {*self.depths} <= {"8-bit", "16-bit"} else ""
            yield f"pixels keep their full depth ({counts}){mixed}" + scaled
        if len(self.depths) > 1 and {*self.depths} - {"8-bit", "16-bit"}:
            yield "integers and values without a known range are mixed: save all images with the same depth"
        if self.pages:
            yield f"{_images(self.pages)} with several pages; only the first is read: {some_of(self.pages, SHOWN)}"
        if self.halved:
            yield (
                f"{_images(self.halved)} with 16 bits per channel; only the upper 8 are read (grey images keep all "
                f"16): "
                f"{some_of(self.halved, SHOWN)}"
            )


def survey(sources: Sequence[Path] | np.ndarray) -> Survey:
    """Return a survey of the headers of images; unreadable files are skipped."""
    if isinstance(sources, np.ndarray):
        return Survey(Counter({"8-bit" if sources.dtype == np.uint8 else "floating-point": len(sources)}), (), ())
    depths: Counter[str] = Counter()
    pages, halved = [], []
    for path in sources:
        try:
            with Image.open(path) as image:
                depths[depth_of(image)] += 1
                if getattr(image, "n_frames", 1) > 1:
                    pages.append(path.name)
                if image.mode not in (*SIXTEEN, "I", "F") and any(";16" in str(tile[3]) for tile in image.tile):
                    halved.append(path.name)
        except Exception:  # reported when it is decoded
            continue
    return Survey(depths, tuple(pages), tuple(halved))


def depth_of(image: Image.Image) -> str:
    """Return the kind of number in a pixel."""
    if image.mode in SIXTEEN or (image.mode == "I" and image.format == "PNG"):
        return "16-bit"
    return {"I": "32-bit", "F": "floating-point"}.get(image.mode, "8-bit")


def deep_pixels(image: Image.Image, channels: int, source: Path) -> np.ndarray:
    """Return the values of an image, float32 [height, width, channels]: integers of 8 and 16 bits on one scale from 0
    to 255, others unchanged.

    Raises:  DataError for values that are not finite
    """
    depth = depth_of(image)
    if depth == "8-bit":
        values = np.asarray(image.convert("RGB" if channels == 3 else "L"), np.float32)
    else:
        values = np.asarray(image).astype(np.float32) / (LEVELS if depth == "16-bit" else 1)
    if not np.isfinite(values).all():
        cure = "replace these pixels, or skip the file (" + data_setting("images.unreadable", "skip") + ")"
        raise DataError("some pixels are not finite numbers", where=str(source), cure=cure)
    return with_channels(values, channels)


def with_channels(values: np.ndarray, channels: int) -> np.ndarray:
    """Return values [height, width] or [height, width, channels] with one channel or three."""
    values = values[..., None] if values.ndim == 2 else values[..., :3]
    if values.shape[-1] == channels:
        return values
    return np.repeat(values, 3, -1) if channels == 3 else (values @ GREY)[..., None]


def _images(names: Sequence[str]) -> str:
    return f"{len(names)} image{'s' if len(names) > 1 else ''}"
