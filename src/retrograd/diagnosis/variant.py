"""A program with one change; everything unaffected is shared: network, compiled step, reference levels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from retrograd.base.schema import fields
from retrograd.data.dataset import Dataset
from retrograd.data.settings import DataSettings, plain_scale
from retrograd.data.tables.scaling import fit_scaling
from retrograd.data.tables.target import Quantities
from retrograd.diagnosis.judgement.score import Scorer
from retrograd.diagnosis.original_unit import inputs_in_own_unit, targets_in_own_unit
from retrograd.diagnosis.program import Program
from retrograd.training.config.config import RunConfig
from retrograd.training.prepare import PARTS

RESCALES = {"scale", "clip", "scale_target"}  # data settings that can be applied to numbers already read


def variant(program: Program, config: RunConfig) -> Program | None:
    """Return the program with another configuration; None if its data would have to be read again.

    A split, or words for missing values, apply while reading. Scaling is done on the existing arrays: standardising
    values after any affine map gives the same result as standardising the source. Clipped data have to be read again.
    """
    prepared = program.prepared
    dataset = rescaled(program.dataset, program.config.data, config.data)
    if prepared is None or dataset is None:
        return None
    other = Program(config, dataset, program.runs.seconds)
    if all(getattr(config, name) == getattr(program.config, name) for name in ("network", "loss", "losses")):
        filled = config.filled(prepared.network, dataset.task)
        prepared = dataclasses.replace(prepared, config=filled, dataset=dataset)
        other = Program(config, dataset, program.runs.seconds, prepared)
        other.runs.scorer = Scorer(prepared)
        other.runs.scorer.evaluator = program.runs.scorer.evaluator
        if _steps_alike(program.config, config):
            other.runs.stepper = program.runs.stepper
    if program.data.y is not None:
        other.data.levels = program.data.levels  # accuracy and R² in the user's units do not depend on the scaling
    return other


def _steps_alike(one: RunConfig, other: RunConfig) -> bool:
    """Return whether two configurations can share a compiled step; a schedule is compiled for a number of steps."""
    same = one.optimizer == other.optimizer and one.penalties == other.penalties
    same = same and one.training.precision == other.training.precision
    is_plain = isinstance(one.optimizer.learning_rate, float | int)
    return same and (is_plain or one.training.epochs == other.training.epochs)


def rescaled(dataset: Dataset, before: DataSettings | None, after: DataSettings | None) -> Dataset | None:
    """Return the data set rescaled from the settings `before` to `after`, fitted on the training part; None if it must
    be read again.
    """
    old, new = before or DataSettings(), after or DataSettings()
    changed = {field.name for field in fields(DataSettings) if getattr(old, field.name) != getattr(new, field.name)}
    if not changed <= RESCALES or (old.clip is not None and changed & {"scale", "clip"}):
        return None
    columns: dict[str, tuple[Any, ...]] = {}
    if changed & {"scale", "clip"}:
        columns["x"] = (*plain_scale(new.scale if "scale" in changed else "none"), new.clip)
    if "scale_target" in changed:
        columns["y"] = (str(new.scale_target), 1.0, None)
    for name, scaled in columns.items():
        values = dataset.train.get(name)
        if not isinstance(values, np.ndarray) or not np.issubdtype(values.dtype, np.floating) or values.ndim < 2:
            return None
        dataset = _scaled(dataset, name, *scaled)
    return dataset


def _scaled(dataset: Dataset, name: str, method: str, divisor: float, clip: float | None) -> Dataset:
    """Return the data set with one column rescaled; a logarithm applies to the values in the user's units."""
    undo = inputs_in_own_unit if name == "x" else targets_in_own_unit
    columns = {part: rows for part in PARTS if (rows := getattr(dataset, part)) is not None}
    raw = {part: undo(dataset, rows[name]) if method == "log" else rows[name] for part, rows in columns.items()}
    scaling = fit_scaling(raw["train"], method, divisor, clip)
    parts: dict[str, Any] = {part: {**rows, name: scaling.to_floats(raw[part])} for part, rows in columns.items()}
    preprocessing = dataset.preprocessing
    if name == "y" and isinstance(preprocessing.target, Quantities) and method == "log":
        target = dataclasses.replace(preprocessing.target, scaling=scaling)
        preprocessing = dataclasses.replace(preprocessing, target=target)
    return dataclasses.replace(dataset, preprocessing=preprocessing, **parts)
