"""Windows over the rows of a table: the cells of a whole history at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.data.report import Report
from retrograd.data.windows.inputs import WindowInputs
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.inputs.door import Entrance
from retrograd.ship.onnx.inputs.table import Cells


class Windows:
    """The cells of each row of a history, oldest first; inputs: [windows, history] or [windows, history, columns]."""

    def __init__(self, inputs: WindowInputs, notations: Any) -> None:
        self.inputs, self.cells = inputs, Cells(inputs.table, notations, (inputs.history,))
        self.rounded = self.cells.rounded

    @property
    def entrances(self) -> tuple[Entrance, ...]:
        """The inputs of the table."""
        return self.cells.entrances

    def write(self, graph: Graph) -> tuple[dict[str, Value], Value | None]:
        """Add the nodes of the table, row by row."""
        return self.cells.write(graph)

    def feed(self, rows: Any) -> dict[str, np.ndarray]:
        """Return the windows over rows in order of time, arranged as in `encode`."""
        table = self.inputs.rows_of(rows)
        starts = self.inputs.starts(table, with_target=False)
        flat, _ = self.inputs.flat(table, Report())
        places = starts[:, None] + np.arange(self.inputs.history)
        return {name: array[places] for name, array in self.cells.feed(flat).items()}

    def metadata(self) -> dict[str, Any]:
        """Return a description of windows and columns."""
        about = {"history": self.inputs.history, "horizon": self.inputs.horizon, "targets": list(self.inputs.targets)}
        return {**self.cells.metadata(), "windows": about}
