"""The rows that set the ranges of integers, and the rows on which the metric is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from retrograd.base.errors import UsageError
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset
from retrograd.data.report import Report
from retrograd.ship.quantization.running import Columns
from retrograd.ship.samples import some
from retrograd.training.use.predict import Model

CALIBRATED, MEASURED = 512, 4096  # rows at most


def rows_of(model: Model, dataset: Dataset | None, calibrate: Any, most: int) -> tuple[str, Columns, Columns]:
    """Return a description of the rows for the metric, these rows, and the rows that set the ranges."""
    if dataset is None and calibrate is None:
        raise UsageError("the run's data are not there", where=model.config.name,
                         cure="pass rows with their targets: --calibrate FILE (calibrate=rows)")  # fmt: skip
    measured = min(most, MEASURED)
    if dataset is None:
        columns = _columns(model, calibrate, with_target=True)
        return "calibration", _some(columns, measured), _some(columns, CALIBRATED)
    name, part = next((name, part) for name, part in (("test", dataset.test), ("validation", dataset.valid),
                                                      ("training", dataset.train)) if part is not None)  # fmt: skip
    ranging = dataset.train if calibrate is None else _columns(model, calibrate, with_target=False)
    return name, _some(part, measured), _some(ranging, CALIBRATED)


def _columns(model: Model, data: Any, *, with_target: bool) -> Mapping[str, Any]:
    with reading_in(model.config.training.precision):
        return model.preprocessing.transform(model.read(data), with_target=with_target, report=Report())


def _some(columns: Mapping[str, Any], most: int) -> Columns:
    """Return evenly spaced rows, at most `most`."""
    chosen = some(len(next(iter(columns.values()))), most)
    return {name: np.asarray(column[chosen]) for name, column in columns.items()}
