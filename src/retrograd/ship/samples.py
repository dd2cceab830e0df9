"""Rows on which a file is compared with the run: some of the run's data, and made-up ones."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.base.errors import RetrogradError
from retrograd.data.cells.floats import reading_in
from retrograd.data.dataset import Dataset, load
from retrograd.data.source import read_source
from retrograd.network.layers.embedding import Embedding
from retrograd.network.network import Network
from retrograd.training.use.predict import Model

ROWS = 64
BATCHES = (1, 3, ROWS)
MISTAKES = (RetrogradError, OSError)  # what data that moved or changed since the training can raise


def held_out(model: Model, dataset: Dataset | None = None) -> Mapping[str, Any] | None:
    """Return some columns of the part that was held out of training, or None where the data are not there any more."""
    settings = model.config.data
    if dataset is None and settings is not None:
        dataset = _quietly(lambda: load(settings), model)
    if dataset is None:
        return None
    part = dataset.test or dataset.valid or dataset.train
    chosen = some(len(next(iter(part.values()))))
    return {name: np.asarray(column[chosen]) for name, column in part.items()}


def source_rows(model: Model) -> Any | None:
    """Return some rows of the run's data as they were read, or None where those are not there any more."""
    settings = model.config.data
    rows = None if settings is None else _quietly(lambda: read_source(settings, Path()).rows, model)
    return None if rows is None else rows.take(some(len(rows)))


def some(rows: int) -> np.ndarray:
    """Return which rows to take: at most 64, spread evenly."""
    return np.unique(np.linspace(0, rows - 1, ROWS).astype(int))


def made_up(
    network: Network, shapes: Mapping[str, tuple[tuple[int, ...], str]], seed: int = 0
) -> dict[str, np.ndarray]:
    """Return columns of these shapes and dtypes: normal numbers, identifiers that an embedding knows, masks."""
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {}
    for name, (shape, dtype) in shapes.items():
        if dtype == "bool":
            columns[name] = rng.random((ROWS, *shape)) < 0.7
            columns[name].reshape(ROWS, -1)[:, 0] = True
        elif np.dtype(dtype).kind in "iu":
            columns[name] = rng.integers(0, _identifiers(network, name), (ROWS, *shape)).astype(dtype)
        else:
            columns[name] = rng.normal(size=(ROWS, *shape)).astype(dtype)
    return columns


def _identifiers(network: Network, column: str) -> int:
    """Return how many identifiers every embedding that reads a column knows."""
    readers = {column}
    sizes = [2]
    for node in network:
        if node.inputs[0] in readers:
            if isinstance(node.layer, Embedding):
                sizes.append(int(node.layer.vocabulary))
            else:
                readers.add(node.name)
    return min(sizes[1:] or sizes)


def _quietly(read: Any, model: Model) -> Any:
    with warnings.catch_warnings(), contextlib.suppress(*MISTAKES), reading_in(model.config.training.precision):
        warnings.simplefilter("ignore")
        return read()
    return None
