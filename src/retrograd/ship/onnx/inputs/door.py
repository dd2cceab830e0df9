"""A door into a file: its inputs, the network's columns computed from them, and the inputs for given rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from retrograd.ship.onnx.graph import BATCH, Graph, Value


class Entrance(NamedTuple):
    """One input of a file: its name, its dtype and the shape without the batch axis."""

    name: str
    dtype: str
    lengths: tuple[int, ...]

    @property
    def info(self) -> tuple[str, str, tuple[Any, ...]]:
        """The input's name, dtype and shape, with a free batch axis."""
        return self.name, self.dtype, (BATCH, *self.lengths)


EXACT = np.zeros(1, bool)  # no feature is rounded: see `Door.rounded`


class Door(Protocol):
    """A way into a file."""

    @property
    def rounded(self) -> np.ndarray:
        """Which features of `x` are logarithms or sines, whose last bit depends on the library, [features] or [1]."""

    @property
    def entrances(self) -> tuple[Entrance, ...]:
        """The inputs."""

    def write(self, graph: Graph) -> tuple[dict[str, Value], Value | None]:
        """Add the nodes; return the network's columns, and the codes that tell how each cell was read, if any."""

    def feed(self, rows: Any) -> dict[str, np.ndarray]:
        """Return the inputs for rows."""

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of the inputs, as plain JSON."""


class Columns:
    """The network's columns, unchanged: `--from-x`."""

    rounded = EXACT

    def __init__(self, columns: Mapping[str, Any], needed: tuple[str, ...]) -> None:
        self.shapes = {name: (tuple(columns[name][0]), str(columns[name][1])) for name in needed}

    @property
    def entrances(self) -> tuple[Entrance, ...]:
        """One for each column, with floats as float32."""
        return tuple(Entrance(name, "float32" if dtype == "float64" else dtype, shape)
                     for name, (shape, dtype) in self.shapes.items())  # fmt: skip

    def write(self, graph: Graph) -> tuple[dict[str, Value], Value | None]:
        """Name the columns."""
        return {e.name: Value(graph.free(e.name), (1, *e.lengths), dtype=e.dtype) for e in self.entrances}, None

    def feed(self, rows: Any) -> dict[str, np.ndarray]:
        """Return the columns of a batch."""
        return {e.name: np.asarray(rows[e.name][:]).astype(e.dtype) for e in self.entrances}

    def metadata(self) -> dict[str, Any]:
        """Return nothing."""
        return {}
