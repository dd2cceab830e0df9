"""The level and spread of each series, by which its target is scaled, so that large and small series count alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ConfigDict

from retrograd.data.tables.scaling import Finite, Positive, Scaling, fit_scaling

LEVEL, SPREAD = "series_level", "series_spread"  # batch columns [windows, targets]


@dataclass(frozen=True)
class Levels:
    """A scaling for each known series, fitted on its training rows; `method` fits one for unknown series."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    names: tuple[str, ...]
    offsets: tuple[tuple[Finite, ...], ...]
    scales: tuple[tuple[Positive, ...], ...]
    method: str

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.offsets) == len(self.scales):
            raise ValueError("each series needs a level and a spread")

    def of(self, name: str, values: np.ndarray) -> Scaling:
        """Return the scaling of a series, fitted on its own values [rows, targets] if it is unknown."""
        if name in self.names:
            number = self.names.index(name)
            return Scaling(self.offsets[number], self.scales[number])
        return fit_level(values, self.method)


def fit_levels(names: tuple[str, ...], values: list[np.ndarray], method: str) -> Levels:
    """Return the level and spread of the values [rows, targets] of each series."""
    fitted = [fit_level(rows, method) for rows in values]
    return Levels(names, tuple(one.offset for one in fitted), tuple(one.scale for one in fitted), method)


def fit_level(values: np.ndarray, method: str) -> Scaling:
    """Return the scaling fitted on the complete rows of values [rows, targets]."""
    complete = values[np.isfinite(values).all(1)]
    return fit_scaling(complete if len(complete) else np.zeros((1, values.shape[1])), method)


def at_level(values: np.ndarray, columns: Mapping[str, Any]) -> np.ndarray:
    """Return values [rows, horizon * targets] in their own unit, if the batch columns contain each row's level."""
    if LEVEL not in columns:
        return values
    level, spread = (np.asarray(columns[name], np.float64) for name in (LEVEL, SPREAD))
    times = values.shape[1] // level.shape[1]
    return values * np.tile(spread, times) + np.tile(level, times)
