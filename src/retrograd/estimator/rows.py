"""Data sets from arrays and data frames passed to the estimators, also for continuing training."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from retrograd.data.dataset import Batch, Dataset, from_arrays, from_frame
from retrograd.data.settings import DataSettings
from retrograd.data.split.split import choose_method, split_rows
from retrograd.data.table import from_any_frame
from retrograd.data.tables.target import Labels


class Rows(NamedTuple):
    """Checked rows: an array or data frame, the targets as numbers, and the weight of each row."""

    x: Any
    y: np.ndarray  # [rows] class numbers or quantities; [rows, targets] if there are several
    weight: np.ndarray | None = None

    @property
    def is_table(self) -> bool:
        """Whether the rows come from a data frame."""
        return hasattr(self.x, "columns")


def as_array(y: Any) -> Any:
    """Return targets as an array, also those in a data frame or series."""
    return y.to_numpy() if hasattr(y, "to_numpy") else np.asarray(y)


def dataset_of(rows: Rows, settings: DataSettings) -> Dataset:
    """Return a data set with these rows, split by the settings, with scaling fitted on the training part."""
    if not rows.is_table:
        x = {"x": rows.x} | ({} if rows.weight is None else {"sample_weight": rows.weight})
        return from_arrays(x, rows.y, settings=settings)
    frame = from_any_frame(rows.x).frame
    target = _free("y", frame.columns)
    if rows.weight is not None:
        weight = _free("sample_weight", frame.columns)
        frame = frame.with_columns(pl.Series(weight, rows.weight))
        settings = dataclasses.replace(settings, weight=weight)
    y = rows.y.reshape(len(rows.y), -1)
    names = [target] if rows.y.ndim == 1 else [f"{target}{i + 1}" for i in range(y.shape[1])]
    return from_frame(frame, pl.DataFrame(dict(zip(names, y.T, strict=True))), settings=settings)


def first_of_stream(rows: Rows, settings: DataSettings, classes: int) -> Dataset:
    """Return the data set for the first of several portions; later ones may contain other classes.

    `classes` is the total number of classes; 0 means quantities, which are scaled as in the first portion.
    """
    if not classes:
        return dataset_of(rows, settings)
    numbers = dataclasses.replace(settings, task="regression", scale_target="none")
    dataset = dataset_of(rows, numbers)
    assert dataset.preprocessing.target is not None
    target = Labels(dataset.preprocessing.target.names[0], tuple(range(classes)), classes == 2)
    y = dataset.train["y"]
    return dataclasses.replace(
        dataset,
        task="binary" if target.binary else "multiclass",
        train={**dataset.train, "y": y if target.binary else y[:, 0].astype(np.int32)},
        preprocessing=dataclasses.replace(dataset.preprocessing, target=target),
    )


def encoded(rows: Rows, previous: Dataset) -> Batch:
    """Encode rows as an earlier data set does, to continue training on it."""
    preprocessing, target = previous.preprocessing, previous.preprocessing.target
    batch = preprocessing.transform(rows.x, with_target=False)
    if isinstance(target, Labels) and not target.binary:
        batch["y"] = rows.y.astype(np.int32)
    else:
        y = rows.y.reshape(len(rows.y), -1)
        scaling = getattr(target, "scaling", None)
        batch["y"] = (y if scaling is None else scaling.apply(y)).astype(previous.train["y"].dtype)
    if rows.weight is not None or "sample_weight" in previous.train:
        weight = np.ones(len(rows.y)) if rows.weight is None else rows.weight
        batch["sample_weight"] = weight.astype(batch["y"].dtype if batch["y"].dtype.kind == "f" else np.float32)
    return batch


def continued(rows: Rows, previous: Dataset, settings: DataSettings) -> Dataset:
    """Return a data set with new rows, encoded like an earlier one and split by the settings."""
    batch = encoded(rows, previous)
    split = settings.split
    method = choose_method(split, len(rows.y), has_classes=False, has_valid=False)
    parts = split_rows(method, split, len(rows.y), None, None)
    train, valid = ({name: column[part] for name, column in batch.items()} for part in (parts.train, parts.valid))
    return dataclasses.replace(previous, train=train, valid=valid if len(parts.valid) else None, seen={})


def _free(name: str, names: list[str]) -> str:
    while name in names:
        name += "_"
    return name
