"""Metrics accumulated portion by portion: for plain targets, masks, tokens, transcripts and boxes."""

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
    """An accumulator of metrics over a part of the data; `names` are the metrics that are quick to measure."""

    names: tuple[str, ...]

    def add(self, output: np.ndarray, columns: Columns) -> None:
        """Add the outputs of a portion and its columns."""

    def scores(self, full: bool) -> dict[str, float]:
        """Return the metrics of all portions; empty if outputs were not finite."""


class ClassTally(Tally):
    """For labels: keeps a few numbers per row, regardless of the number of classes."""

    names = ("accuracy",)

    def __init__(self, target: Labels, link: Link) -> None:
        self.target, self.link = target, link
        self.portions: list[Judged] = []

    @override
    def add(self, output: np.ndarray, columns: Columns) -> None:
        truth = np.asarray(columns["y"]).reshape(-1).astype(np.int32)
        with np.errstate(invalid="ignore"):  # non-finite rows are marked
            probabilities = self.target.decode(output, link=self.link).probabilities
        self.portions.append(judged(truth, np.asarray(probabilities), self.target.binary))

    @override
    def scores(self, full: bool) -> dict[str, float]:
        rows = self.rows()
        return class_metrics(rows, full, self.target.binary) if rows.finite.all() else {}

    def rows(self) -> Judged:
        """Return the rows of all portions."""
        if len(self.portions) > 1:
            self.portions.append(Judged.joined(self.portions))
        return self.portions[0]


class PlainTally(Tally):
    """For quantities, or several labels at once: keeps outputs and targets."""

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
        """Return the metrics of values; for several series, R² is relative to the level of each."""
        relative = regression_metrics(truth, found, full, self.target.names)
        if not self.levels or not self.levels[0]:
            return relative
        level = {name: np.concatenate([levels[name] for levels in self.levels]) for name in self.levels[0]}
        scores = regression_metrics(at_level(truth, level), at_level(found, level), full, self.target.names)
        return scores | {name: value for name, value in relative.items() if name.startswith("r2")}


class MaskTally(Tally):
    """For masks: counts pixels by true and predicted class."""

    names = ("accuracy", "mean_iou")

    def __init__(self, target: Masks) -> None:
        self.target = target
        self.counts = np.zeros((target.units, target.units), np.int64)  # [true class, predicted class]
        self.finite = True

    @override
    def add(self, output: np.ndarray, columns: Columns) -> None:
        classes, truth = len(self.counts), np.asarray(columns["y"])
        self.finite &= bool(np.isfinite(output).all())
        pairs = truth.ravel() * classes + output.argmax(-1).ravel()
        self.counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def scores(self, full: bool) -> dict[str, float]:
        """Return the share of right pixels, and the intersection over union averaged over the classes present."""
        if not self.finite:
            return {}
        right, union = np.diag(self.counts), self.counts.sum(0) + self.counts.sum(1) - np.diag(self.counts)
        present = self.counts.sum(1) > 0
        return {
            "accuracy": float(right.sum() / self.counts.sum()),
            "mean_iou": float((right[present] / union[present]).mean()),
        }


class TokenTally(Tally):
    """For tokens: counts right ones and sums their surprise; padding and unmasked tokens do not count."""

    names = ("accuracy", "perplexity")

    def __init__(self, no_target: int) -> None:
        self.no_target = no_target
        self.right = self.count = 0
        self.surprise = 0.0

    @override
    def add(self, output: np.ndarray, columns: Columns) -> None:
        y = np.asarray(columns["y"])
        counted = y != self.no_target
        logits = output[counted].astype(np.float64)
        highest = logits.max(-1, initial=-np.inf, keepdims=True)
        chosen = np.take_along_axis(logits, y[counted][:, None], -1) - highest
        self.surprise += float((np.log(np.exp(logits - highest).sum(-1)) - chosen[:, 0]).sum())
        self.right += int((logits.argmax(-1) == y[counted]).sum())
        self.count += int(counted.sum())

    def scores(self, full: bool) -> dict[str, float]:
        """Return the share of right tokens, and the perplexity: the exponential of the mean cross-entropy."""
        if not self.count or not np.isfinite(self.surprise):
            return {}
        surprise = min(self.surprise / self.count, 700.0)
        return {"accuracy": self.right / self.count, "perplexity": float(np.exp(surprise))}


class TranscriptTally(Tally):
    """For transcripts: counts those without a mistake, and the mistakes in the others."""

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
        """Return the share of transcripts without a mistake, and the mistakes per true token."""
        if not self.finite:
            return {}
        return {"accuracy": self.right / self.rows, "error_rate": self.mistakes / max(1, self.tokens)}


def edits(found: np.ndarray, truth: np.ndarray) -> int:
    """Return the smallest number of insertions, deletions and substitutions between two sequences (Levenshtein)."""
    costs = list(range(len(truth) + 1))
    for i, token in enumerate(found, 1):
        before, costs[0] = costs[0], i
        for j, true in enumerate(truth, 1):
            before, costs[j] = costs[j], min(costs[j] + 1, costs[j - 1] + 1, before + int(token != true))
    return costs[-1]


class BoxTally(Tally):
    """For boxes: keeps every cell's box, score and class, and the true boxes."""

    names = ("average_precision",)

    def __init__(self, target: Boxes) -> None:
        self.target = target
        self.found: list[np.ndarray] = []  # per image [objects, 6]
        self.truth: list[np.ndarray] = []
        self.finite = True

    @override
    def add(self, output: np.ndarray, columns: Columns) -> None:
        self.finite &= bool(np.isfinite(output).all())
        if self.finite:
            self.found += self.target.every(output)
            self.truth += self.target.true_boxes(columns)

    def scores(self, full: bool) -> dict[str, float]:
        """Return the average precision at an overlap of one half, averaged over classes."""
        return {"average_precision": average_precision(self.found, self.truth)} if self.finite else {}


def _answers(target: Target, units: tuple[int, ...]) -> bool:
    """Return whether an output of these units predicts a target; pretrained networks may have unused extra logits."""
    marks = target.vocabulary.special if isinstance(target, (NextToken, MaskedToken, Answer)) else None
    return units == (target.units,) or (marks is not None and units > (target.units,))


def tally_of(target: Target | None, compared: tuple[str, ...], shape: tuple[int, ...], link: Link) -> Tally | None:
    """Return the tally for outputs of this shape (batch first), if they predict the target.

    `compared` are the columns that the loss compares the outputs with.
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
