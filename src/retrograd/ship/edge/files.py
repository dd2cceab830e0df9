"""Files beside an exported model that let it learn: the training step, some rows with their targets, the loop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset
from retrograd.data.report import Report
from retrograd.record.files import write_file
from retrograd.ship.edge.check import check_step
from retrograd.ship.edge.step import Part, Step, write_step
from retrograd.ship.onnx.inputs.door import Columns, Door
from retrograd.ship.onnx.inputs.windows import Windows
from retrograd.ship.samples import held_out, quietly, some, source_rows
from retrograd.ship.ways import Case
from retrograd.training.use.predict import Model

STEP, ROWS, LOOP = ".step.onnx", ".rows.npz", "retrograd_edge.py"
TRUTH = ":truth"  # no column has this name


class Beside(NamedTuple):
    """Files to write beside a model, and how far the step is from the run's."""

    files: dict[Path, bytes]
    difference: float
    weights: tuple[str, ...]

    def write(self) -> tuple[Path, ...]:
        """Write the files; an existing loop is kept, as its user may have changed it."""
        for path, data in self.files.items():
            if path.name != LOOP or not path.exists():
                write_file(path, data)
        return tuple(self.files)


def beside(model: Model, door: Door, part: Part, opset: int, path: Path, cases: list[Case],
           metadata: Mapping[str, str], dataset: Dataset | None) -> Beside:  # fmt: skip
    """Return the files beside a model that can learn, after checking the training step.

    Raises:  ConfigError for models that cannot be trained like this; ModelFileError if the step computes something else
    """
    step = write_step(model, door, part, opset)
    file = step.file({**metadata, "step": json.dumps({"part": part, "target": step.target.name, **step.names,
                                                      "weights": list(step.weights)})})  # fmt: skip
    difference = check_step(model, step, file, cases)
    files = {path.with_suffix(STEP): file.SerializeToString()}
    rows = _rows(model, door, step, dataset)
    if rows is not None:
        files[path.with_suffix(ROWS)] = rows
    files[path.parent / LOOP] = (Path(__file__).parent / LOOP).read_bytes()
    return Beside(files, difference, tuple(step.weights))


def _rows(model: Model, door: Door, step: Step, dataset: Dataset | None) -> bytes | None:
    """Return some rows of the run's data, as inputs of the file, with their targets, if the data are there."""
    known = _known(model, door, dataset)
    if known is None:
        return None
    fed, y = known
    arrays = {name: array.astype(str) if array.dtype.kind == "O" else array for name, array in fed.items()}
    stream = BytesIO()
    np.savez_compressed(stream, **arrays, **{TRUTH: step.truth.feed(y)})  # type: ignore[arg-type]
    return stream.getvalue()


def _known(model: Model, door: Door, dataset: Dataset | None) -> tuple[Mapping[str, np.ndarray], Any] | None:
    if isinstance(door, Columns):
        columns = held_out(model, dataset)
        return None if columns is None or "y" not in columns else (door.feed(columns), columns["y"])
    rows = source_rows(model)
    if rows is None:
        return None
    rows = rows if isinstance(door, Windows) else rows.take(some(len(rows)))

    def both() -> tuple[Mapping[str, np.ndarray], Any]:
        with reading_in(model.config.training.precision):
            columns = model.preprocessing.transform(rows, with_target=True, report=Report())
        return door.feed(rows), columns["y"][:]

    fed, y = quietly(both, model) or ({}, ())
    if {len(array) for array in fed.values()} != {len(y)}:  # rows without targets were skipped
        return None
    chosen = some(len(y))
    return {name: array[chosen] for name, array in fed.items()}, y[chosen]
