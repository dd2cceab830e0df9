"""Rows on which a file is compared with the run: some of the run's data, and generated ones."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from retrograd.base.errors import RetrogradError
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import Dataset, load
from retrograd.data.source import read_source
from retrograd.data.tables.columns import BooleanColumn, CategoryColumn, DateColumn, NumberColumn
from retrograd.data.tables.inputs import TableInputs
from retrograd.data.tables.text_column import TextColumn
from retrograd.network.layers.embedding import Embedding
from retrograd.network.network import Network
from retrograd.training.use.predict import Model

ROWS = 64
BATCHES = (1, 3, ROWS)
MISTAKES = (RetrogradError, OSError)  # that data moved or changed since training can raise
TRUTHS = ("true", "False", "YES", "no", "1", "0", "1.0", "t", "maybe")
GAPS = 0.15  # share of missing cells in generated rows; the second row has only missing cells
UNSEEN, UNSEEN_SHARE = "a word never seen", 0.1
Shapes = Mapping[str, tuple[tuple[int, ...], str]]  # of columns: the shape without the batch axis, and the dtype


def dataset_of(model: Model, dataset: Dataset | None = None) -> Dataset | None:
    """Return the data of the run, or None if they are no longer there."""
    settings = model.config.data
    return dataset if dataset is not None or settings is None else quietly(lambda: load(settings), model)


def held_out(model: Model, dataset: Dataset | None = None) -> Mapping[str, Any] | None:
    """Return some rows of a part held out from training, by column, or None if the data are no longer there."""
    dataset = dataset_of(model, dataset)
    if dataset is None:
        return None
    part = dataset.test or dataset.valid or dataset.train
    chosen = some(len(next(iter(part.values()))))
    return {name: np.asarray(column[chosen]) for name, column in part.items()}


def source_rows(model: Model) -> Any | None:
    """Return the rows of the run's data as read, or None if the data are no longer there."""
    settings = model.config.data
    return None if settings is None else quietly(lambda: read_source(settings, Path()).rows, model)


def some(rows: int, most: int = ROWS) -> np.ndarray:
    """Return the indices of evenly spaced rows."""
    return np.unique(np.linspace(0, rows - 1, most).astype(int))


def made_up(network: Network, shapes: Shapes, seed: int = 0) -> dict[str, np.ndarray]:
    """Return generated columns of these shapes and dtypes: normal numbers, identifiers in embeddings' range, masks."""
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


def made_up_table(inputs: TableInputs, seed: int = 0) -> pl.DataFrame:
    """Return rows of cells like those in training, with gaps, unseen words, extreme numbers, and an empty row."""
    rng = np.random.default_rng(seed)
    columns = {column.name: _made_up_cells(column, rng) for column in inputs.columns}
    return pl.DataFrame(columns, strict=False)


def _made_up_cells(column: Any, rng: np.random.Generator) -> pl.Series:
    gaps = rng.random(ROWS) < GAPS
    gaps[1] = True
    cells = pl.Series(column.name, _values(column, rng), strict=False)
    return cells.set(pl.Series(gaps), None)


def _values(column: Any, rng: np.random.Generator) -> list[Any]:
    if isinstance(column, NumberColumn):
        spread = rng.choice([0.1, 1.0, 30.0], ROWS) * column.scaling.scale[0]
        if any(column.scaling.floor):
            return list(column.fill * np.exp(rng.normal(size=ROWS)))
        return list(column.fill + spread * rng.normal(size=ROWS))
    if isinstance(column, DateColumn):
        days = column.fill + column.scaling.scale[0] * rng.normal(size=ROWS)
        whole = days if column.times else np.floor(days)
        return [datetime(1970, 1, 1) + timedelta(days=float(day)) for day in np.clip(whole, -200_000, 200_000)]
    if isinstance(column, BooleanColumn):
        return list(rng.choice(TRUTHS[:-1], ROWS))
    if isinstance(column, CategoryColumn):
        return words_of(column.words, rng, ROWS)
    assert isinstance(column, TextColumn)
    lengths = rng.integers(1, column.length + 3, ROWS)
    return [" ".join(words_of(column.vocabulary.tokens or (UNSEEN,), rng, length)) for length in lengths]


def words_of(known: Sequence[str], rng: np.random.Generator, number: int) -> list[str]:
    """Return words from training, with some unseen words among them."""
    unseen = rng.random(number) < UNSEEN_SHARE
    return [UNSEEN if other else known[i] for other, i in zip(unseen, rng.integers(0, len(known), number), strict=True)]


def _identifiers(network: Network, column: str) -> int:
    """Return the number of identifiers known to every embedding that reads a column."""
    readers, sizes = {column}, []
    for node in network:
        if node.inputs[0] in readers:
            if isinstance(node.layer, Embedding):
                sizes.append(int(node.layer.vocabulary))
            else:
                readers.add(node.name)
    return min(sizes or [2])


def quietly(read: Callable[[], Any], model: Model) -> Any:
    """Return what `read` returns in the model's precision, or None if the data cannot be read."""
    with warnings.catch_warnings(), contextlib.suppress(*MISTAKES), reading_in(model.config.training.precision):
        warnings.simplefilter("ignore")
        return read()
    return None
