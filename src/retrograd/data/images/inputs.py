"""Fitted inputs for images: their form and their scale."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike
from pydantic import ConfigDict

from retrograd.base.errors import ConfigError, DataError, RetrogradWarning
from retrograd.base.sentence import data_setting
from retrograd.data.cells.precision import floats
from retrograd.data.images.decoding import Form
from retrograd.data.images.pixels import Pixels, as_column
from retrograd.data.images.reading import images_of_arrays, images_of_table
from retrograd.data.images.rows import Images
from retrograd.data.images.settings import ImageSettings, pair
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings, Scale, plain_scale
from retrograd.data.table import Table, from_any_frame
from retrograd.data.tables.scaling import Scaling

USUAL_SIZE = 32  # pixels, for image files
WHITE = 255.0
NARROW = 0.05  # of 255 levels: low contrast, as in scikit-image's `is_low_contrast`
SAMPLE = 256  # evenly spaced images


@dataclass(frozen=True)
class ImageInputs:
    """Images in one form, scaled channel by channel."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    form: Form
    scaling: Scaling
    memory: int
    column: str | None = None
    unreadable: Literal["error", "skip"] = "error"
    kind: Literal["images"] = "images"

    def __post_init__(self) -> None:
        if len(self.scaling.scale) != self.form.channels:
            raise ValueError("form and scaling differ in channels")

    @property
    def features(self) -> tuple[str, ...]:
        """Empty: x is not flat."""
        return ()

    @property
    def embedded(self) -> dict[str, int]:
        """Batch columns of identifiers: none."""
        return {}

    def rows_of(self, data: Any, targets: tuple[str, ...] = ()) -> Images:
        """Return data as images: Images, a table of paths, or arrays."""
        if isinstance(data, Images):
            return data if self.unreadable == "error" else data.readable(self.form, self.memory)
        if isinstance(data, Table) or hasattr(data, "columns"):
            table = data if isinstance(data, Table) else from_any_frame(data, "./data frame")
            return self.rows_of(images_of_table(table, ImageSettings(column=self.column)))
        arrays = dict(data) if isinstance(data, dict) else {"x": data}
        if isinstance(arrays.get("x"), (str, Path)) or not hasattr(arrays.get("x"), "__len__"):
            raise DataError("expected images", cure="pass a file, a folder, a table of paths, or an array of pixels")
        return images_of_arrays(
            {name: np.asarray(array) for name, array in arrays.items()}, "y", "arrays", targets[0] if targets else "y"
        )

    def target_table(self, images: Images) -> Table:
        """Return the table with the labels or quantities of each image."""
        if images.table is None:
            cure = "put the images in a sub-folder for each class, or use a table of paths and labels"
            raise DataError("the images have no labels", where=images.where, cure=cure)
        return images.table

    def encode(self, images: Images, report: Report, with_target: bool) -> dict[str, Any]:
        """Return `x`, float32 [rows, height, width, channels]: an array, or a PixelColumn if memory is short."""
        dtype = floats()  # read now: pixels may be scaled later, in another thread
        return {"x": as_column(images.pixels(self.form, self.memory), lambda pixels: self.scaled(pixels, dtype))}

    def scaled(self, pixels: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
        """Return pixels as numbers of a type: (x - offset) / scale in each channel."""
        offset, scale = np.array(self.scaling.offset, dtype), np.array(self.scaling.scale, dtype)
        scaled: np.ndarray = (pixels.astype(dtype) - offset) / scale
        return scaled


def image_form(images: Images, settings: DataSettings) -> Form:
    """Return the form of the images that the settings ask for."""
    section = settings.images or ImageSettings()
    if section.size is not None:
        height, width = pair(section.size)
    elif isinstance(images.sources, np.ndarray):
        height, width = images.sources.shape[1:3]
    else:
        height = width = USUAL_SIZE
    return Form(
        height,
        width,
        section.color,
        section.fit,
        section.max_pixels,
        settings.max_bytes,
        images.survey.deep,
    )


def mask_form(form: Form) -> Form:
    """Return the form of the masks for images of a form."""
    return replace(form, kind="mask")


def fit_images(train: Images, form: Form, settings: DataSettings) -> ImageInputs:
    """Return inputs fitted on training images in a form, scaled as configured.

    By default, pixels are divided by 255; deep ones, and 8-bit ones that use few levels, are standardised.

    Warns:  RetrogradWarning for images that use few levels
    """
    section, scale = settings.images or ImageSettings(), settings.scale
    narrow = narrow_range(train.pixels(form, section.memory)) if scale is None else None
    if narrow is not None:
        message = f"pixels use only levels {narrow[0]} to {narrow[1]} of 0 to 255, so they are standardised"
        warnings.warn(
            f"{train.where}: {message} (" + data_setting("scale") + " sets another scaling)",
            RetrogradWarning,
            stacklevel=2,
        )
    usual: Scale = "standard" if form.deep or narrow else {"divide": WHITE}
    method, divisor = plain_scale(usual if scale is None else scale)
    channels = form.channels
    if method in ("robust", "log"):
        cure = "use standard, minmax, none or {divide: n}"
        raise ConfigError(f"pixels cannot be scaled by '{method}'", where="data.scale", cure=cure)
    if method == "standard":
        scaling = fit_channels(train.pixels(form, section.memory))
    elif method == "minmax":
        scaling = fit_range(train.pixels(form, section.memory))
    else:
        scaling = Scaling((0.0,) * channels, (divisor if method == "divide" else 1.0,) * channels)
    return ImageInputs(form, scaling, section.memory, section.column, section.unreadable)


def fit_range(pixels: Pixels) -> Scaling:
    """Return the scaling of the range of all pixels in all channels to [0, 1]."""
    low, high = np.inf, -np.inf

    def see(portion: np.ndarray) -> None:
        nonlocal low, high
        low, high = min(low, float(portion.min())), max(high, float(portion.max()))

    pixels.see(see)
    channels = pixels.form.channels
    return Scaling((low,) * channels, ((high - low) or 1.0,) * channels)


def fit_channels(pixels: Pixels) -> Scaling:
    """Return the scaling by mean and standard deviation of each channel over all pixels."""
    count, total, squares = 0, np.zeros(pixels.form.channels), np.zeros(pixels.form.channels)

    def see(portion: np.ndarray) -> None:
        nonlocal count, total, squares
        numbers = portion.astype(np.float64)
        count += numbers.size // numbers.shape[-1]
        total += numbers.sum((0, 1, 2))
        squares += (numbers**2).sum((0, 1, 2))

    pixels.see(see)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return Scaling(tuple(mean.tolist()), tuple(np.where(deviation > 0, deviation, 1.0).tolist()))


def narrow_range(pixels: Pixels) -> tuple[int, int] | None:
    """Return the lowest and highest level of 8-bit images if they are close together but not equal; else None."""
    if pixels.form.deep or not len(pixels):
        return None
    rows = np.arange(0, len(pixels), max(1, len(pixels) // SAMPLE))
    sample = pixels.batch(rows) if pixels.kept is None else pixels.kept[rows]
    low, high = int(sample.min()), int(sample.max())
    return (low, high) if 0 < high - low < NARROW * 255 else None
