"""Decoding an image file (or array) to pixels of a given size; errors name the file."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from retrograd.base.errors import DataError
from retrograd.data.images.depth import deep_pixels, with_channels
from retrograd.data.read.files import check_file

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
FAULTS = (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, struct.error, zlib.error)
NARROW = {"I": 256, "I;16": 256, "I;16B": 256, "I;16L": 256}  # divisors from 16 bits per pixel to 8


@dataclass(frozen=True)
class Form:
    """The form of decoded pixels: `kind` rgb or grey (0 to 255), or mask (class numbers, never interpolated).

    `deep` pixels are float32 and keep more than 8 bits: 16 bits on a scale from 0 to 255, other values unchanged.
    """

    height: int
    width: int
    kind: Literal["rgb", "grey", "mask"]
    fit: Literal["stretch", "crop", "pad"]
    max_pixels: int
    max_bytes: int
    deep: bool = False

    @property
    def dtype(self) -> np.dtype:
        """The type of decoded pixels."""
        return np.dtype(np.float32 if self.deep and self.kind != "mask" else np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image's pixels."""
        return (self.height, self.width) if self.kind == "mask" else (self.height, self.width, self.channels)

    @property
    def channels(self) -> int:
        """The number of channels per pixel."""
        return 3 if self.kind == "rgb" else 1


def decode(source: Path | np.ndarray, form: Form) -> np.ndarray:
    """Return the pixels of an image, uint8 (float32 if deep), in the form's shape.

    Raises:  DataError naming a file that is missing, truncated, too large or not an image
    """
    if isinstance(source, np.ndarray):
        if form.dtype == np.float32:
            return fitted_deep(with_channels(source.astype(np.float32), form.channels), form)
        return fitted(from_array(source, form), form)
    check_file(source, form.max_bytes)
    try:
        with Image.open(source) as image:
            if image.width * image.height > form.max_pixels:
                raise too_many_pixels(source, f"{image.width:,} x {image.height:,} pixels", form.max_pixels)
            image.draft("RGB" if form.kind == "rgb" else "L", (2 * form.width, 2 * form.height))
            upright = ImageOps.exif_transpose(image)
            if form.dtype == np.float32:
                return fitted_deep(deep_pixels(upright, form.channels, source), form)
            return fitted(plain(upright, form, source), form)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise too_many_pixels(source, str(error).partition(",")[0], form.max_pixels) from None
    except FAULTS as error:
        raise DataError(*fault_words(error), where=str(source)) from None


def image_size(source: Path | np.ndarray) -> tuple[int, int]:
    """Return the height and width of an image; only the header of a file is read."""
    if isinstance(source, np.ndarray):
        return source.shape[0], source.shape[1]
    with Image.open(source) as image:
        is_rotated = image.getexif().get(0x0112, 1) >= 5  # the camera was held upright
        return (image.width, image.height) if is_rotated else (image.height, image.width)


def plain(image: Image.Image, form: Form, source: Path) -> Image.Image:
    """Return the image with 8 bits per channel: colour, grey, or the class numbers in the file."""
    image.load()
    if image.mode in NARROW and form.kind != "mask":
        image = Image.fromarray((np.asarray(image) // NARROW[image.mode]).clip(0, 255).astype(np.uint8))
    if form.kind != "mask":
        return image.convert("RGB" if form.kind == "rgb" else "L")
    if image.mode == "1":
        return image.convert("L").point(lambda value: value // 255)
    if image.mode not in ("L", "P"):
        cure = "save it as a grey or palette image whose pixels are class numbers"
        raise DataError(f"the mask has pixels of kind {image.mode}", where=str(source), cure=cure)
    return Image.fromarray(np.asarray(image))


def from_array(array: np.ndarray, form: Form) -> Image.Image:
    """Return the image of an array [height, width] or [height, width, channels]."""
    if form.kind == "mask":
        return Image.fromarray(array.astype(np.uint8))
    array = np.rint(array).clip(0, 255).astype(np.uint8) if array.dtype.kind == "f" else array
    image = Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array)
    return image.convert("RGB" if form.kind == "rgb" else "L")


def fitted_deep(values: np.ndarray, form: Form) -> np.ndarray:
    """Return float32 values [height, width, channels] at the form's size, channel by channel."""
    if values.shape[:2] == (form.height, form.width):
        return values
    planes = [sized(Image.fromarray(np.ascontiguousarray(plane)), form) for plane in np.moveaxis(values, -1, 0)]
    return np.stack([np.asarray(plane, np.float32) for plane in planes], -1)


def fitted(image: Image.Image, form: Form) -> np.ndarray:
    """Return the pixels at the form's size."""
    return np.asarray(sized(image, form), np.uint8).reshape(form.shape)


def sized(image: Image.Image, form: Form) -> Image.Image:
    """Return the image stretched, cropped or padded to the form's size."""
    size = (form.width, form.height)
    method = Image.Resampling.NEAREST if form.kind == "mask" else Image.Resampling.BILINEAR
    if image.size == size:
        return image
    if form.fit == "stretch":
        return image.resize(size, method)
    return ImageOps.fit(image, size, method) if form.fit == "crop" else ImageOps.pad(image, size, method)


def too_many_pixels(source: Path, size: str, most: int) -> DataError:
    """Return the error for an image that would need too much memory."""
    cure = "reduce its size, or raise data.images.max_pixels"
    return DataError(f"{size}, more than the limit of {most:,} pixels", where=str(source), cure=cure)


def fault_words(error: Exception) -> tuple[str]:
    """Return the reason why Pillow cannot read a file."""
    text = " ".join(str(error).split())
    if isinstance(error, UnidentifiedImageError):
        return (f"not an image of a known kind ({', '.join(suffix[1:] for suffix in SUFFIXES)})",)
    if isinstance(error, PermissionError):
        return ("permission denied",)
    is_truncated = "truncat" in text.lower() or "unexpected end" in text.lower() or isinstance(error, EOFError)
    return (f"truncated image: {text}" if is_truncated else f"damaged image: {text}",)
