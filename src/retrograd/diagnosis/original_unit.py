"""Columns of a data set in the user's units, before scaling."""

from __future__ import annotations

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.data.tables.inputs import ArrayInputs, TableInputs
from retrograd.data.tables.scaling import Scaling
from retrograd.data.tables.target import Quantities


def inputs_in_own_unit(dataset: Dataset, x: np.ndarray) -> np.ndarray:
    """Return inputs [rows, ..., features] as they were before scaling; unchanged if features are not plain numbers."""
    inputs = dataset.preprocessing.inputs
    if isinstance(inputs, ArrayInputs):
        return x if inputs.scaling is None else inputs.scaling.undo(x)
    if isinstance(inputs, TableInputs):
        x = np.array(x, np.float64)
        for column in inputs.columns:
            scaling = getattr(column, "scaling", None)
            if scaling is not None:
                place = [inputs.features.index(column.features[0])]
                x[:, place] = scaling.undo(x[:, place])
    return x


def takes_logarithms(thing: object) -> bool:
    """Return whether fitted inputs, or a target, take the logarithm of any column."""
    return any(not scaling.is_affine for scaling in _scalings(thing))


def clip_of(thing: object) -> float | None:
    """Return the tightest clipping bound of fitted inputs, in units of their scale; None without one."""
    return min((scaling.clip for scaling in _scalings(thing) if scaling.clip is not None), default=None)


def _scalings(thing: object) -> list[Scaling]:
    scalings = (getattr(part, "scaling", None) for part in (thing, *getattr(thing, "columns", ())))
    return [scaling for scaling in scalings if isinstance(scaling, Scaling)]


def targets_in_own_unit(dataset: Dataset, y: np.ndarray) -> np.ndarray:
    """Return quantities [rows, targets], or outputs for them, as they were before scaling."""
    target = dataset.preprocessing.target
    return target.scaling.undo(y) if isinstance(target, Quantities) else y


def comparable(dataset: Dataset, y: np.ndarray) -> np.ndarray:
    """Return targets, or outputs for them, on a scale where R² is the same as in the user's units.

    An affine scaling does not change R²; a logarithm is undone.
    """
    is_logarithm = takes_logarithms(dataset.preprocessing.target)
    return targets_in_own_unit(dataset, np.reshape(y, (len(y), -1))) if is_logarithm else y
