"""Metrics that are added up portion by portion: of plain targets, of masks, of tokens, of transcripts, of boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from typing_extensions import override

from retrograd.data.cells.vocabulary import PADDING
from retrograd.data.images.boxes import Boxes
from retrograd.data.images.masks import Masks
from retrograd.data.preprocessing import Target
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.target import Labels, Link, Quantities
from retrograd.data.texts.targets import Answer, MaskedToken, NextToken, Transcript
from retrograd.data.windows.levels import LEVEL, SPREAD, at_level
from retrograd.training.use.detection import average_precision
from retrograd.training.use.metrics import Judged, class_metrics, judged, label_metrics, regression_metrics

Columns = Mapping[str, np.ndarray]


class Tally(Protocol):
    """What a part of the data adds up to; `names` are the metrics that are quick to measure."""

    names: tuple[str, ...]

    def add(self, output: np.ndarray, columns: Columns) -> None:
        """Take the outputs of a portion and its columns."""

    def scores(self, full: bool) -> dict[str, float]:
        """Return the metrics of all portions; none where outputs were not finite."""


class ClassTally(Tally):
    """Of labels: a few numbers for each row are kept, however many classes there are."""

    names = ("accuracy",)

    def __init__(self, target: Labels, link: Link) -> None:
        self.target, self.link = target, link
        self.portions: list[Judged] = []

    @override
    def add(self, output: np.ndarray, columns: Columns) -> None:
        truth = np.asarray(columns["y"]).reshape(-1).astype(np.int32)
        with np.errstate(invalid="ignore"):  # rows that are not finite are marked
            probabilities = self.target.decode(output, link=self.link).probabilities
        self.portions.append(judged(truth, np.asarray(probabilities)))

    @override
    def scores(self, full: bool) -> dict[str, float]:
        rows = self.rows()
        return class_metrics(rows, full, self.target.binary) if rows.finite.all() else {}

    def rows(self) -> Judged:
        """Return the rows of all portions, from now on one portion: of no column are there two copies for long."""
        if len(self.portions) > 1:
            columns = [list(column) for column in zip(*self.portions, strict=True)]
            self.portions.clear()
            self.portions.append(Judged(*(np.concatenate(columns.pop(0)) for _ in Judged._fields)))
        return self.portions[0]


class PlainTally(Tally):
    """Of quantities, or of several labels at once: outputs and targets are kept."""

    def __init__(self, target: MultiLabels | Quantities, link: Link) -> None:
        self.target, self.link = target, link
        self.names = ("r2",) if isinstance(target, Quantities) else ("accuracy",)
        self.outputs: list[np.ndarray] = []
        self.truths: list[np.ndarray] = []
        self.levels: list[dict[str, np.ndarray]] = []

    @override
    def add(self, output: np.ndarray, columns: Columns) -> None:
        self.outputs.append(output)
        self.truths.append(np.asarray(columns["y"]))
        self.levels.append({name: np.asarray(columns[name]) for name in (LEVEL, SPREAD) if name in columns})

    @override
    def scores(self, full: bool) -> dict[str, float]:
        truth = np.concatenate(self.truths)
        decoded = self.target.decode(np.concatenate(self.outputs), link=self.link)
        if isinstance(self.target, MultiLabels):
            return label_metrics(truth, np.asarray(decoded.probabilities), full, self.target.classes)
        return self._regression(self.target.scaling.undo(truth), np.asarray(decoded.values), full)

    def _regression(self, truth: np.ndarray, found: np.ndarray, full: bool) -> dict[str, float]:
        """Return the metrics of values; of several series, R² is that around each one's own level."""
        scores = regression_metrics(truth, found, full, self.target.names)
        if not self.levels or not self.levels[0]:
            return scores
        level = {name: np.concatenate([each[name] for each in self.levels]) for name in self.levels[0]}
        own = regression_metrics(at_level(truth, level), at_level(found, level), full, self.target.names)
        return own | {name: value for name, value in scores.items() if name.startswith("r2")}


class MaskTally(Tally):
    """Of masks: how often each class was found where each class is."""

    names = ("accuracy", "mean_iou")

    def __init__(self, target: Masks) -> None:
        self.target = target
        self.counts = np.zeros((target.units, target.units), np.int64)  # [true class, found class]
        self.finite = True

    @override
    def add(self, output: np.ndarray, columns: Columns) -> None:
        classes, truth = len(self.counts), np.asarray(columns["y"])
        self.finite &= bool(np.isfinite(output).all())
        pairs = truth.ravel() * classes + output.argmax(-1).ravel()
        self.counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def scores(self, full: bool) -> dict[str, float]:
        """Return the share of right pixels, and intersection over union, the mean over classes that are there."""
        if not self.finite:
            return {}
        right, union = np.diag(self.counts), self.counts.sum(0) + self.counts.sum(1) - np.diag(self.counts)
        present = self.counts.sum(1) > 0
        return {
            "accuracy": float(right.sum() / self.counts.sum()),
            "mean_iou": float((right[present] / union[present]).mean()),
        }


class TokenTally(Tally):
    """Of tokens: how many were right, and how surprising they were; padding, and what is not hidden, do not count."""

    names = ("accuracy", "perplexity")

    def __init__(self, no_target: int) -> None:
        self.no_target = no_target
        self.right = self.count = 0
        self.surprise = 0.0

    @override
    def add(self, output: np.ndarray, columns: Columns) -> None:
        y = np.asarray(columns["y"])
        there = y != self.no_target
        logits = output[there].astype(np.float64)
        highest = logits.max(-1, initial=-np.inf, keepdims=True)
        chosen = np.take_along_axis(logits, y[there][:, None], -1) - highest
        self.surprise += float((np.log(np.exp(logits - highest).sum(-1)) - chosen[:, 0]).sum())
        self.right += int((logits.argmax(-1) == y[there]).sum())
        self.count += int(there.sum())

    def scores(self, full: bool) -> dict[str, float]:
        """Return the share of right tokens, and the perplexity: the exponential of the mean cross-entropy."""
        if not self.count or not np.isfinite(self.surprise):
            return {}
        surprise = min(self.surprise / self.count, 700.0)
        return {"accuracy": self.right / self.count, "perplexity": float(np.exp(surprise))}


class TranscriptTally(Tally):
    """Of transcripts: how many are without a mistake, and how many mistakes are in the others."""

    names = ("accuracy", "error_rate")

    def __init__(self, target: Transcript) -> None:
        self.target = target
        self.right = self.rows = self.mistakes = self.tokens = 0
        self.finite = True

    @override
    def add(self, output: np.ndarray, columns: Columns) -> None:
        self.finite &= bool(np.isfinite(output).all())
        for found, padded in zip(self.target.read(output, columns.get("mask")), columns["y"], strict=True):
            truth = np.asarray(padded)[np.asarray(padded) != PADDING]
            distance = edits(found, truth)
            self.right, self.rows = self.right + (distance == 0), self.rows + 1
            self.mistakes, self.tokens = self.mistakes + distance, self.tokens + len(truth)

    def scores(self, full: bool) -> dict[str, float]:
        """Return the share of transcripts without a mistake, and mistakes for each token that is there."""
        if not self.finite:
            return {}
        return {"accuracy": self.right / self.rows, "error_rate": self.mistakes / max(1, self.tokens)}


def edits(found: np.ndarray, truth: np.ndarray) -> int:
    """Return the fewest insertions, deletions and exchanges that turn one sequence into another (Levenshtein)."""
    costs = list(range(len(truth) + 1))
    for i, token in enumerate(found, 1):
        before, costs[0] = costs[0], i
        for j, true in enumerate(truth, 1):
            before, costs[j] = costs[j], min(costs[j] + 1, costs[j - 1] + 1, before + int(token != true))
    return costs[-1]


class BoxTally(Tally):
    """Of boxes: every cell's box, score and class, and the true ones."""

    names = ("average_precision",)

    def __init__(self, target: Boxes) -> None:
        self.target = target
        self.found: list[np.ndarray] = []  # of each image [objects, 6]
        self.truth: list[np.ndarray] = []
        self.finite = True

    @override
    def add(self, output: np.ndarray, columns: Columns) -> None:
        self.finite &= bool(np.isfinite(output).all())
        if self.finite:
            self.found += self.target.every(output)
            self.truth += self.target.true_boxes(columns)

    def scores(self, full: bool) -> dict[str, float]:
        """Return the average precision at an overlap of one half, the mean over classes."""
        return {"average_precision": average_precision(self.found, self.truth)} if self.finite else {}


def _answers(target: Target, units: tuple[int, ...]) -> bool:
    """Return whether so many units predict a target; a pretrained network has logits that no token uses."""
    marks = target.vocabulary.special if isinstance(target, (NextToken, MaskedToken, Answer)) else None
    return units == (target.units,) or (marks is not None and units > (target.units,))


def tally_of(target: Target | None, compared: tuple[str, ...], shape: tuple[int, ...], link: Link) -> Tally | None:
    """Return the tally of outputs of this shape (batch first), if they predict the target.

    `compared` are the columns with which the loss compares them.
    """
    if isinstance(target, Boxes):
        return BoxTally(target) if target.fits(shape) else None
    if target is None or compared[:1] != ("y",) or not _answers(target, shape[-1:]):
        return None
    if isinstance(target, Masks):
        return MaskTally(target) if len(shape) == 4 else None
    if isinstance(target, (NextToken, MaskedToken, Answer)):
        return TokenTally(target.vocabulary.no_target) if len(shape) == 3 else None
    if isinstance(target, Transcript):
        return TranscriptTally(target) if len(shape) == 3 else None
    if len(shape) != 2:
        return None
    return ClassTally(target, link) if isinstance(target, Labels) else PlainTally(target, link)
