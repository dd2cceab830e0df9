"""Masks as the target: a class for each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field

from retrograd.base.errors import DataError, LabelError, ShapeError
from retrograd.data.images.decoding import Form
from retrograd.data.images.pixels import Pixels, as_column
from retrograd.data.images.rows import Images
from retrograd.data.tables.target import Decoded, Link
from retrograd.present.wording import some_of

Value = Annotated[int, Field(ge=0, le=255)]


@dataclass(frozen=True)
class Masks:
    """A class for each pixel; class i has the pixel value `values[i]`."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    values: Annotated[tuple[Value, ...], Field(min_length=2)]
    form: Form
    memory: int
    kind: Literal["masks"] = "masks"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the target."""
        return ("y",)

    @property
    def units(self) -> int:
        """The number of output channels that the network needs: one per class."""
        return len(self.values)

    @property
    def table(self) -> np.ndarray:
        """Class numbers by pixel value; -1 for values that are not classes."""
        table = np.full(256, -1, np.int32)
        table[list(self.values)] = np.arange(len(self.values))
        return table

    def columns(self, images: Images) -> dict[str, Any]:
        """Return `y`, int32 [rows, height, width].

        Raises:  LabelError for a pixel value unknown to training
        """
        pixels = images.pixels(self.form, self.memory)
        unseen = sorted(set(values_in(pixels)) - set(self.values))
        if unseen:
            known = some_of(self.values)
            raise LabelError(
                f"a mask has the unknown pixel value {unseen[0]}", where=images.where, cure=f"known: {known}"
            )
        return {"y": as_column(pixels, lambda levels: self.table[levels])}

    def decode(self, outputs: np.ndarray, link: Link = "logit") -> Decoded:
        """Return the pixel value of each pixel's likeliest class, for outputs [rows, height, width, classes]."""
        if outputs.ndim != 4 or outputs.shape[-1] != self.units:
            raise ShapeError(f"expected outputs (rows, height, width, {self.units}), got {outputs.shape}")
        return Decoded(labels=np.array(self.values, np.uint8)[outputs.argmax(-1)])


def fit_masks(images: Images, form: Form, memory: int) -> Masks:
    """Return the target with the classes in all masks, from every part."""
    values = values_in(images.pixels(form, memory))
    if len(values) < 2:
        raise DataError(
            f"the masks contain only the value {some_of(values)}", where=images.where, cure="use at least 2 classes"
        )
    return Masks(tuple(values), form, memory)


def values_in(pixels: Pixels) -> list[int]:
    """Return the values that occur in masks."""
    occurs = np.zeros(256, bool)

    def see(portion: np.ndarray) -> None:
        occurs[np.unique(portion)] = True

    pixels.see(see)
    return np.flatnonzero(occurs).tolist()
