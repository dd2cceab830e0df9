"""Images, and what belongs to each of them: a table row, a mask, or objects."""

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
    """Images (files, or one array), each with a row of the table, a mask or its objects, if there are any."""

    sources: Sources
    where: str
    table: Table | None = None
    masks: Sources | None = None
    objects: tuple[tuple[Box, ...], ...] | None = None
    _decoded: dict[Form, Pixels] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, rows: np.ndarray) -> Images:
        """Return the rows at these indices, in this order."""
        return Images(
            chosen(self.sources, rows),
            self.where,
            None if self.table is None else self.table.take(rows),
            None if self.masks is None else chosen(self.masks, rows),
            None if self.objects is None else tuple(self.objects[i] for i in rows),
        )

    def numbered(self) -> Images:
        """Return the images with row numbers in their table, which survive a selection."""
        return self if self.table is None else replace(self, table=self.table.numbered())

    def pixels(self, form: Form, memory: int) -> Pixels:
        """Return the images (the masks, for the form `mask`) in a form; the result is cached."""
        sources = self.masks if form.kind == "mask" else self.sources
        if sources is None:
            raise DataError("there are no masks", where=self.where, cure="add a folder `masks` next to `images`")
        return self._decoded.setdefault(form, Pixels(sources, form, memory))

    @functools.cached_property
    def survey(self) -> Survey:
        """A survey of the image headers."""
        return survey(self.sources)

    def readable(self, form: Form, memory: int) -> Images:
        """Return the images that can be decoded.

        Warns:   RetrogradWarning naming the others
        Raises:  DataError if none can be decoded
        """
        faults = self.pixels(form, memory).faulty()
        if not faults:
            return self
        listed = some_of([f"{self.sources[i]}: {fault}" for i, fault in faults.items()], SHOWN)
        if len(faults) == len(self):
            raise DataError(f"none of {len(self)} images can be read: {listed}", where=self.where)
        message = f"{self.where}: {len(faults)} of {len(self)} images cannot be read and are skipped: {listed}"
        warnings.warn(message, RetrogradWarning, stacklevel=2)
        return self.take(np.array([i for i in range(len(self)) if i not in faults]))

    @property
    def digest(self) -> str:
        """The SHA-256 of the arrays or file names, objects and table, as hexadecimal text."""
        digest = hashlib.sha256(repr(self.objects).encode())
        for array in (self.sources, self.masks):
            digest.update(np.ascontiguousarray(array).data if isinstance(array, np.ndarray) else repr(array).encode())
        digest.update(b"" if self.table is None else self.table.digest.encode())
        return digest.hexdigest()

    @property
    def sizes(self) -> np.ndarray:
        """The height and width of each image [rows, 2]."""
        return np.array([image_size(source) for source in self.sources]).reshape(-1, 2)

    @property
    def names(self) -> tuple[str, ...] | None:
        """The file names to show next to predictions; None for an array."""
        return None if isinstance(self.sources, np.ndarray) else shown_paths(self.sources, self.where)


def chosen(sources: Sources, rows: np.ndarray) -> Sources:
    """Return the sources at these indices."""
    return sources[rows] if isinstance(sources, np.ndarray) else tuple(sources[i] for i in rows)
