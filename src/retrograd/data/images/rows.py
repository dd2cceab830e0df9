"""Images and what belongs to each of them: a row of a table, a mask, or the objects in it."""

from __future__ import annotations

import functools
import hashlib
import warnings
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from retrograd.base.errors import DataError, RetrogradWarning
from retrograd.data.images.decoding import Form, image_size
from retrograd.data.images.depth import Survey, survey
from retrograd.data.images.pixels import Pixels, Sources
from retrograd.data.table import SHOWN, Table
from retrograd.data.tables.paths import shown_paths
from retrograd.present.wording import some_of


class Box(NamedTuple):
    """An object in an image: its edges in the image's own pixels, and its class."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    label: str


@dataclass(frozen=True, eq=False)
class Images:
    """Images (files, or an array of them), each with a row of a table, a mask or its objects, where there are any."""

    sources: Sources
    where: str
    table: Table | None = None
    masks: Sources | None = None
    objects: tuple[tuple[Box, ...], ...] | None = None
    _decoded: dict[Form, Pixels] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, rows: np.ndarray) -> Images:
        """Return some rows (indices), in their order."""
        return Images(
            chosen(self.sources, rows),
            self.where,
            None if self.table is None else self.table.take(rows),
            None if self.masks is None else chosen(self.masks, rows),
            None if self.objects is None else tuple(self.objects[i] for i in rows),
        )

    def numbered(self) -> Images:
        """Return images whose table knows the rows' numbers in the data, also after some of them are taken."""
        return self if self.table is None else replace(self, table=self.table.numbered())

    def pixels(self, form: Form, memory: int) -> Pixels:
        """Return the images (or for the form `mask` the masks) in a form; asked for twice, they are decoded once."""
        sources = self.masks if form.kind == "mask" else self.sources
        if sources is None:
            raise DataError("there are no masks", where=self.where, cure="expected a folder `masks` beside `images`")
        return self._decoded.setdefault(form, Pixels(sources, form, memory))

    @functools.cached_property
    def survey(self) -> Survey:
        """What the images' headers say."""
        return survey(self.sources)

    def readable(self, form: Form, memory: int) -> Images:
        """Return the images that can be decoded.

        Warns:   RetrogradWarning naming the others
        Raises:  DataError when none can
        """
        faults = self.pixels(form, memory).faulty()
        if not faults:
            return self
        shown = some_of([f"{self.sources[i]}: {fault}" for i, fault in faults.items()], SHOWN)
        if len(faults) == len(self):
            raise DataError(f"none of {len(self)} images can be read: {shown}", where=self.where)
        message = f"{self.where}: {len(faults)} of {len(self)} images cannot be read and are left out: {shown}"
        warnings.warn(message, RetrogradWarning, stacklevel=2)
        return self.take(np.array([i for i in range(len(self)) if i not in faults]))

    @property
    def digest(self) -> str:
        """The SHA-256 of what is in memory, as hexadecimal text: arrays of images and masks, objects, the table."""
        digest = hashlib.sha256(repr(self.objects).encode())
        for array in (self.sources, self.masks):
            digest.update(np.ascontiguousarray(array).data if isinstance(array, np.ndarray) else repr(array).encode())
        digest.update(b"" if self.table is None else self.table.digest.encode())
        return digest.hexdigest()

    @property
    def sizes(self) -> np.ndarray:
        """Each image's own height and width [rows, 2]."""
        return np.array([image_size(source) for source in self.sources]).reshape(-1, 2)

    @property
    def names(self) -> tuple[str, ...] | None:
        """The files' names, as they may be shown beside predictions; None for an array."""
        return None if isinstance(self.sources, np.ndarray) else shown_paths(self.sources, self.where)


def chosen(sources: Sources, rows: np.ndarray) -> Sources:
    """Return some of the sources."""
    return sources[rows] if isinstance(sources, np.ndarray) else tuple(sources[i] for i in rows)
