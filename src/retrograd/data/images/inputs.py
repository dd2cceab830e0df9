"""Fitted inputs of images: their form and their scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict

from retrograd.base.errors import DataError
from retrograd.data.images.decoding import Form
from retrograd.data.images.pixels import Pixels, as_column
from retrograd.data.images.reading import images_of_arrays, images_of_table
from retrograd.data.images.rows import Images
from retrograd.data.images.settings import ImageSettings, pair
from retrograd.data.report import Report
from retrograd.data.scaling import Scaling
from retrograd.data.settings import DataSettings, plain_scale
from retrograd.data.table import Table, from_any_frame

USUAL_SIZE = 32  # pixels, of files
WHITE = 255.0


@dataclass(frozen=True)
class ImageInputs:
    """Images in one form, scaled channel by channel."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    form: Form
    scaling: Scaling
    memory: int
    column: str | None = None
    kind: Literal["images"] = "images"

    def __post_init__(self) -> None:
        if len(self.scaling.scale) != self.form.channels:
            raise ValueError("form and scaling differ in channels")

    @property
    def features(self) -> tuple[str, ...]:
        """No names: x is not flat."""
        return ()

    @property
    def embedded(self) -> dict[str, int]:
        """Batch columns of identifiers: none."""
        return {}

    def rows_of(self, data: Any, targets: tuple[str, ...] = ()) -> Images:
        """Return the images that were given: Images, a table of paths, or arrays."""
        if isinstance(data, Images):
            return data
        if isinstance(data, Table) or hasattr(data, "columns"):
            table = data if isinstance(data, Table) else from_any_frame(data, "./data frame")
            return images_of_table(table, ImageSettings(column=self.column))
        given = dict(data) if isinstance(data, dict) else {"x": data}
        if isinstance(given.get("x"), (str, Path)) or not hasattr(given.get("x"), "__len__"):
            raise DataError("expected images", cure="give a file, a folder, a table of paths, or an array of pixels")
        return images_of_arrays(
            {name: np.asarray(array) for name, array in given.items()}, "y", "arrays", targets[0] if targets else "y"
        )

    def target_table(self, images: Images) -> Table:
        """Return the table that holds labels or quantities of each image."""
        if images.table is None:
            cure = "put the images into a sub-folder for each class, or give a table of paths and labels"
            raise DataError("the images have no labels", where=images.where, cure=cure)
        return images.table

    def encode(self, images: Images, report: Report, with_target: bool) -> dict[str, Any]:
        """Return `x`, float32 [rows, height, width, channels]: an array, or a PixelColumn where memory is short."""
        return {"x": as_column(images.pixels(self.form, self.memory), self.scaled)}

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels as float32: (x - offset) / scale in each channel."""
        offset, scale = np.array(self.scaling.offset, np.float32), np.array(self.scaling.scale, np.float32)
        return (pixels.astype(np.float32) - offset) / scale


def image_form(images: Images, settings: DataSettings) -> Form:
    """Return the form of the images that the settings ask for."""
    own = settings.images or ImageSettings()
    if own.size is not None:
        height, width = pair(own.size)
    elif isinstance(images.sources, np.ndarray):
        height, width = images.sources.shape[1:3]
    else:
        height = width = USUAL_SIZE
    return Form(height, width, own.color, own.fit, own.max_pixels, settings.max_bytes)


def mask_form(form: Form) -> Form:
    """Return the form of the masks that lie over images."""
    return replace(form, kind="mask")


def fit_images(train: Images, settings: DataSettings) -> ImageInputs:
    """Return inputs fitted on training images: divided by 255 unless `scale` says otherwise."""
    own, form = settings.images or ImageSettings(), image_form(train, settings)
    method, divisor = plain_scale({"divide": WHITE} if settings.scale is None else settings.scale)
    channels = form.channels
    if method == "standard":
        scaling = fit_channels(train.pixels(form, own.memory))
    elif method == "minmax":
        scaling = Scaling((0.0,) * channels, (WHITE,) * channels)
    else:
        scaling = Scaling((0.0,) * channels, (divisor if method == "divide" else 1.0,) * channels)
    return ImageInputs(form, scaling, own.memory, own.column)


def fit_channels(pixels: Pixels) -> Scaling:
    """Return mean and standard deviation of each channel over all pixels."""
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
