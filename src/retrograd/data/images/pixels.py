"""Many images at one size, decoded by several threads: once if they fit in memory, else whenever they are needed."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from retrograd.base.errors import DataError, Problem
from retrograd.base.memory import require_room
from retrograd.base.sentence import data_setting
from retrograd.data.images.decoding import Form, decode
from retrograd.data.table import SHOWN, listed

AT_ONCE = 256  # number of images decoded at a time
CURE = "repair or remove these files, or skip them with " + data_setting("images.unreadable", "skip")

Sources = tuple[Path, ...] | np.ndarray


@functools.cache
def decoders() -> ThreadPoolExecutor:
    """Return the threads for decoding; Pillow releases the interpreter lock meanwhile."""
    return ThreadPoolExecutor(max(2, min(16, os.cpu_count() or 1)), thread_name_prefix="decode")


@dataclass(frozen=True, eq=False)
class Pixels:
    """Images in one form, each decoded on demand."""

    sources: Sources
    form: Form
    memory: int  # maximum bytes of decoded images

    def __len__(self) -> int:
        return len(self.sources)

    def batch(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return images, uint8 or float32 [rows, height, width, channels] (masks without channels), in this order.

        Raises:  DataError naming the files that cannot be decoded
        """
        decoded = list(decoders().map(lambda i: self._decoded(int(i)), rows))
        faults = [problem for result in decoded if isinstance(result, DataError) for problem in result.problems]
        if faults:
            raise DataError(faults)
        images = [result for result in decoded if not isinstance(result, DataError)]
        return np.stack(images) if images else np.empty((0, *self.form.shape), self.form.dtype)

    def scan(self, show: Callable[[np.ndarray], None]) -> None:
        """Decode every image once, passing them to `show` in portions; all faulty files are found in one pass.

        Raises:  DataError naming the first files that cannot be decoded, and the number of others
        """
        faults: list[Problem] = []
        needed = math.prod(self.form.shape) * self.form.dtype.itemsize * min(AT_ONCE, len(self))
        require_room(needed, f"{min(AT_ONCE, len(self))} images", "data.images.size", "choose a smaller size")
        for start in range(0, len(self), AT_ONCE):
            try:
                portion = self.batch(range(start, min(start + AT_ONCE, len(self))))
            except DataError as error:
                faults += error.problems
                continue
            if not faults:
                show(portion)
        if faults:
            raise DataError(listed(faults[:SHOWN], len(faults), "files", CURE, faults[0].where))

    def faulty(self) -> dict[int, str]:
        """Decode every image once, and return the problems of those that cannot be decoded, by index."""
        decoded = decoders().map(self._decoded, range(len(self)))
        return {i: result.problems[0].message for i, result in enumerate(decoded) if isinstance(result, DataError)}

    @functools.cached_property
    def kept(self) -> np.ndarray | None:
        """All decoded images if they fit in memory; else None, after checking that each can be decoded."""
        portions: list[np.ndarray] = []
        fits = len(self) * int(np.prod(self.form.shape)) * self.form.dtype.itemsize <= self.memory
        self.scan(portions.append if fits else lambda portion: None)
        return np.concatenate(portions) if fits else None

    def see(self, show: Callable[[np.ndarray], None]) -> None:
        """Pass every image to `show` in portions, from memory if they are kept there."""
        if self.kept is None:
            self.scan(show)
        else:
            for start in range(0, len(self), AT_ONCE):
                show(self.kept[start : start + AT_ONCE])

    def _decoded(self, i: int) -> np.ndarray | DataError:
        try:
            return decode(self.sources[i], self.form)
        except DataError as error:
            return error


class PixelColumn:
    """A batch column of images, converted (and decoded, unless they are in memory) when rows are taken.

    It has what a minibatch needs of an array: length, shape, dtype, and indexing by rows.
    """

    def __init__(self, pixels: Pixels, convert: Callable[[np.ndarray], np.ndarray]) -> None:
        self.pixels, self.convert = pixels, convert
        self.kept = pixels.kept
        self.dtype = convert(np.zeros((1, *pixels.form.shape), pixels.form.dtype)).dtype
        self.shape = (len(pixels), *pixels.form.shape)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        if self.kept is not None:
            return self.convert(self.kept[rows])
        chosen = np.arange(len(self))[rows]
        return self.convert(self.pixels.batch(chosen))

    def astype(self, dtype: DTypeLike) -> PixelColumn:
        """Return the column with its numbers in another type."""
        return PixelColumn(self.pixels, lambda pixels: self.convert(pixels).astype(dtype))

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def as_column(pixels: Pixels, convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray | PixelColumn:
    """Return an array if all converted images fit in memory, else a PixelColumn."""
    column = PixelColumn(pixels, convert)
    needed = int(np.prod(column.shape)) * column.dtype.itemsize
    return np.asarray(column) if column.kept is not None and needed <= pixels.memory else column
