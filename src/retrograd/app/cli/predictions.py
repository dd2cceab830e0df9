"""Predictions as a table: one row for each input row, each box, or each mask."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import polars as pl

from retrograd.data.audio.rows import Sounds
from retrograd.data.images.boxes import Boxes
from retrograd.data.images.masks import Masks
from retrograd.data.images.reading import EDGES
from retrograd.data.images.rows import Images
from retrograd.data.tables.scaling import shortest
from retrograd.data.tables.target import Decoded, Quantities
from retrograd.data.windows.inputs import WindowInputs
from retrograd.training.use.predict import Model

FORMULA = r"^[=+\-@\t\r]"


def predictions(model: Model, rows: Any, decoded: Decoded, spread: np.ndarray | None = None) -> pl.DataFrame:
    """Return the predictions, each beside its file name, or its series and the last time before the forecast.

    `spread` is the spread of an ensemble's members (see `Model.spread`).
    """
    inputs, target = model.preprocessing.inputs, model.preprocessing.target
    names = rows.names if isinstance(rows, Images | Sounds) else None
    beside = {} if names is None else {"image" if isinstance(rows, Images) else "file": pl.Series(names)}
    if isinstance(inputs, WindowInputs):
        labels = {column.name: column for column in inputs.labels(rows)}
        beside |= {
            name: series.cast(pl.String) if series.dtype.is_temporal() else series for name, series in labels.items()
        }
    if decoded.boxes is not None:
        assert isinstance(target, Boxes)
        return box_rows(decoded.boxes, names, target.classes)
    if isinstance(target, Masks):
        return pl.DataFrame(beside | mask_shares(np.asarray(decoded.labels), target))
    columns = plain_columns(model, decoded)
    if spread is not None:
        names = ("spread",) if spread.ndim == 1 else tuple(f"spread_{i + 1}" for i in range(spread.shape[1]))
        values = shortest(spread).reshape(len(spread), -1)
        columns |= {name: pl.Series(column) for name, column in zip(names, values.T, strict=True)}
    return pl.DataFrame(beside | columns)


def plain_columns(model: Model, decoded: Decoded) -> dict[str, pl.Series]:
    """Return one column of predictions per target and, for classes, one of probabilities per class.

    Numbers from a float32 (or narrower) network have no more digits than that type holds.
    """
    exact = model.config.training.precision == "float64"
    if decoded.labels is not None:
        target = model.preprocessing.target
        columns = {"prediction": pl.Series(decoded.labels.tolist())}
        if decoded.fillings is not None:
            columns["probability"] = pl.Series([shortest(shares).tolist() for shares in decoded.fillings])
        if decoded.labels.ndim == 2 and target is not None:
            columns = {
                name: pl.Series(cells.tolist()) for name, cells in zip(target.names, decoded.labels.T, strict=True)
            }
        shares = () if decoded.probabilities is None else decoded.probabilities.T
        for label, values in zip(model.preprocessing.classes or (), shares, strict=True):
            columns[f"probability_{label}"] = pl.Series(values if exact else shortest(values))
        return columns
    values = np.asarray(decoded.values)
    target = model.preprocessing.target
    names = target.names if target and len(target.names) > 1 else ("prediction",)
    values = values if exact else shortest(values, target.scaling if isinstance(target, Quantities) else None)
    values = values.reshape(len(values), -1)
    names = names if len(names) == values.shape[1] else tuple(f"prediction_{i}" for i in range(values.shape[1]))
    return {name: pl.Series(column) for name, column in zip(names, values.T, strict=True)}


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the table with each list of numbers joined into one string, for CSV."""
    return frame.with_columns(pl.col(pl.List(pl.Float64)).cast(pl.List(pl.String)).list.join(" "))


def without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the table with an apostrophe before each string that a spreadsheet would run as a formula.

    See:  OWASP, CSV Injection: such strings begin with = + - @, a tab or a carriage return
    """
    text = pl.col(pl.String)
    frame = frame.with_columns(pl.when(text.str.contains(FORMULA)).then("'" + text).otherwise(text).name.keep())
    return frame.rename({name: f"'{name}" for name in frame.columns if re.match(FORMULA, name)})


def mask_shares(masks: np.ndarray, target: Masks) -> dict[str, pl.Series]:
    """Return the share of pixels with each mask value, per image; only a .npz file holds the masks themselves."""
    return {f"share_{value}": pl.Series((masks == value).mean((1, 2))) for value in target.values}


def box_rows(boxes: list[np.ndarray], names: tuple[str, ...] | None, classes: tuple[str, ...]) -> pl.DataFrame:
    """Return one row per object: its image (a name, or an index from 0), class, score and edges in pixels."""
    images = [i if names is None else names[i] for i, objects in enumerate(boxes) for _ in objects]
    rows = np.concatenate(boxes) if boxes else np.empty((0, 6))
    columns = {"label": [classes[int(i)] for i in rows[:, 5]], "score": shortest(rows[:, 4])}
    return pl.DataFrame({"image": images} | columns | dict(zip(EDGES, shortest(rows[:, :4]).T, strict=True)))
