"""Columns of plain numbers in files of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

PLAIN = (pl.Float64, pl.Float32, pl.Int64, pl.Int32, pl.Int16, pl.Int8, pl.UInt64, pl.UInt32, pl.UInt16, pl.UInt8)


@dataclass(frozen=True)
class Numbers:
    """A column of numbers without gaps in a file of its own, which is mapped into memory rather than copied."""

    path: Path
    kind: np.dtype[Any]
    count: int

    @staticmethod
    def written(cells: pl.Series, path: Path) -> Numbers | None:
        """Return a column written to a file; None if it contains anything but numbers."""
        if cells.dtype not in PLAIN or cells.null_count() or (cells.dtype.is_float() and cells.is_nan().any()):
            return None
        values = np.ascontiguousarray(cells.to_numpy())
        with open(path, "wb") as file:
            file.write(values.data)
        return Numbers(path, values.dtype, len(values))

    def read(self, first: int, count: int) -> np.ndarray:
        """Return numbers: all of them mapped, some of them read."""
        if count == self.count:
            return np.memmap(self.path, self.kind, "r", shape=count)
        return np.fromfile(self.path, self.kind, count, offset=first * self.kind.itemsize)

    def lazy(self) -> pl.LazyFrame:
        """Return the column as a query."""
        return pl.Series("cells", self.read(0, self.count)).to_frame().lazy()
