"""The facts of a program's data: inputs and targets as matrices, and whether the parts contain the same classes."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from retrograd.data.dataset import Dataset, load
from retrograd.data.prefetch import is_streamed
from retrograd.data.settings import DataSettings
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.judgement.codes import coded
from retrograd.diagnosis.judgement.levels import Levels, reference_levels
from retrograd.diagnosis.judgement.score import SCORED
from retrograd.diagnosis.original_unit import clip_of

SORTED = threshold("D08", "neighbours")
STRANGERS = threshold("D08", "unknown")
CUT = threshold("D17", "cut")


class DataFacts:
    """The facts of a data set for the symptoms, each computed at its first use."""

    def __init__(self, dataset: Dataset, settings: DataSettings | None = None) -> None:
        self.dataset, self.settings = dataset, settings

    @cached_property
    def levels(self) -> Levels:
        """The scores of a trivial predictor, a linear model and two other models without a network.

        They are fitted without a tight `clip`, if the data can be read again.
        """
        cut = self.cut.max(initial=0.0) > CUT
        dataset = load(replace(self.settings, clip=None)) if cut and self.settings is not None else self.dataset
        return reference_levels(dataset if dataset.rows == self.dataset.rows else self.dataset)

    @cached_property
    def cut(self) -> np.ndarray:
        """The share of each feature's cells that `clip` moves to its bound, [features].

        0 for a binary feature that lies at the bounds entirely: it loses nothing.
        """
        clip = clip_of(self.dataset.preprocessing.inputs)
        if clip is None or self.x is None:
            return np.zeros(0)
        at_bound = np.abs(self.x) >= np.float32(clip) * (1 - 1e-6)
        return np.where(at_bound.all(0), 0.0, at_bound.mean(0))

    @cached_property
    def codes(self) -> dict[str, tuple[float, float]]:
        """The number columns that look like codes, and how much of the answers their values and their order explain."""
        return coded(self.dataset, self.x, self.y)

    @cached_property
    def x(self) -> np.ndarray | None:
        """The training part's real inputs as a matrix [rows, features], float64.

        None for identifiers, and for images that do not fit in memory together.
        """
        x = self.dataset.train.get("x")
        if x is None or is_streamed({"x": x}) or not np.issubdtype(x.dtype, np.floating):
            return None
        return np.asarray(x, np.float64).reshape(len(x), -1)

    @cached_property
    def y(self) -> np.ndarray | None:
        """The training part's targets as they reach the loss: class numbers [rows], or numbers [rows, targets].

        None for tasks with other targets.
        """
        y = self.dataset.train.get("y")
        if y is None or self.dataset.task not in SCORED:
            return None
        if self.classifies:
            return np.asarray(y).reshape(len(y)).astype(np.int64)
        return np.asarray(y, np.float64).reshape(len(y), -1)

    def feature_name(self, number: int) -> str:
        """Return the name of a feature, or its number if it has none."""
        names = self.dataset.features
        return names[number] if number < len(names) else str(number)

    @property
    def classifies(self) -> bool:
        """Whether the targets are classes."""
        return self.dataset.task in ("binary", "multiclass")

    @cached_property
    def strangers(self) -> np.ndarray:
        """Whether each validation row has a class that no training row has; empty if the targets are not classes."""
        valid = self.dataset.valid
        if not self.classifies or valid is None or self.y is None:
            return np.zeros(0, bool)
        unknown: np.ndarray = ~np.isin(np.asarray(valid["y"]).reshape(-1).astype(int), np.unique(self.y))
        return unknown

    @property
    def unknown_classes(self) -> list[str]:
        """The classes that occur in validation rows but in no training row."""
        numbers = np.asarray(self.dataset.valid["y"]).reshape(-1)[self.strangers] if self.dataset.valid else ()
        return [self.dataset.class_name(int(number)) for number in np.unique(numbers)]

    @property
    def badly_split(self) -> bool:
        """Whether too many validation rows have unknown classes for their score to judge the network."""
        return bool(self.strangers.sum() > STRANGERS * len(self.strangers))

    @cached_property
    def neighbours_alike(self) -> float:
        """The share of training rows with the class of the previous row: near 1 for sorted rows."""
        return float(np.mean(self.y[1:] == self.y[:-1])) if self.classifies and self.y is not None else 0.0
