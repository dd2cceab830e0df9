"""One number for the quality of outputs (larger is better): accuracy, AUC, R², or a loss as a score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.data.tables.target import exponential
from retrograd.diagnosis.judgement.chance import area, ranks_of
from retrograd.diagnosis.judgement.usual_rows import UsualRows
from retrograd.diagnosis.original_unit import comparable
from retrograd.network.network import Variables
from retrograd.training.prepare import Prepared
from retrograd.training.use.evaluate import Evaluator
from retrograd.training.use.link import link_of

SCORED = ("binary", "multiclass", "multilabel", "regression")  # tasks with a class or numbers for each row
HALF = 0.5
FAILED = -1.0  # the score of a run that failed, and the R² of twice the trivial error


class Scorer:
    """Measures a prepared run's weights on a part of its data, whatever the width of its output."""

    def __init__(self, prepared: Prepared) -> None:
        self.dataset = prepared.dataset
        self.evaluator = Evaluator(prepared.network, prepared.objectives, prepared.dataset.preprocessing)
        self.logits = link_of(self.evaluator.main.loss) == "logit"
        self.usual = UsualRows(prepared.dataset)

    def outputs(self, variables: Variables, part: str) -> np.ndarray:
        """Return the network's main output on a part."""
        return self.central(self.evaluator.outputs(variables, columns_of(self.dataset, part)))

    def central(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs as target values: the exponential of a logarithm, the middle one of several quantiles."""
        loss: Any = self.evaluator.main.loss
        if link_of(loss) == "log":
            return exponential(outputs)
        levels = np.atleast_1d(getattr(loss, "quantile", ()))
        return outputs[..., [int(np.abs(levels - HALF).argmin())]] if len(levels) > 1 else outputs

    def score(self, variables: Variables, part: str) -> float:
        """Return the score of weights on a part; for tasks not in SCORED, their loss as a score."""
        if self.dataset.task not in SCORED:
            return worth(self.evaluator.loss(variables, columns_of(self.dataset, part))[0])
        outputs, y = self.outputs(variables, part), np.asarray(columns_of(self.dataset, part)["y"])
        if self.usual.ranges and (rows := self.usual.of(y)).any():
            outputs, y = outputs[rows], y[rows]
        outputs, y = comparable(self.dataset, outputs), comparable(self.dataset, y)
        return score(outputs, y, self.dataset.task, self.logits)


def columns_of(dataset: Dataset, part: str) -> Mapping[str, np.ndarray]:
    """Return the columns of a part; of the training part if there is no such part."""
    columns: Mapping[str, np.ndarray] | None = getattr(dataset, part)
    return dataset.train if columns is None else columns


def score(outputs: np.ndarray, y: np.ndarray, task: str, logits: bool) -> float:
    """Return the accuracy, mean AUC over labels, or R² of outputs; outputs that are not finite get the worst score."""
    outputs = np.asarray(outputs, np.float64).reshape(len(outputs), -1)
    if task in ("binary", "multiclass"):
        truth = np.asarray(y).reshape(len(y))
        return float(np.mean((labels(outputs, logits) == truth) & np.isfinite(outputs).all(1)))
    answers = np.asarray(y, np.float64).reshape(len(y), -1)
    if not np.isfinite(outputs).all() or outputs.shape != answers.shape:
        return FAILED
    return mean_area(outputs, answers) if task == "multilabel" else r_squared(outputs, answers)


def labels(outputs: np.ndarray, logits: bool) -> np.ndarray:
    """Return the class numbers predicted by outputs [rows, units]."""
    single = outputs.shape[1] == 1
    numbers: np.ndarray = (outputs[:, 0] > (0.0 if logits else 0.5)).astype(int) if single else outputs.argmax(1)
    return numbers


def shares(outputs: np.ndarray, logits: bool) -> np.ndarray:
    """Return the ranking scores [rows, classes]; a single unit's value is the score of the second class."""
    outputs = np.nan_to_num(np.asarray(outputs, np.float64).reshape(len(outputs), -1))
    if outputs.shape[1] == 1:
        return np.hstack([-outputs, outputs])
    if logits:
        outputs = np.exp(outputs - outputs.max(1, keepdims=True))
        outputs = outputs / outputs.sum(1, keepdims=True)
    return outputs


def mean_area(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the area under the ROC curve, averaged over the labels that some rows have and others do not.

    scores, truth [rows, labels]; 0.5 is chance, whatever the labels' frequencies
    """
    positive = truth > HALF
    mixed = np.flatnonzero(positive.any(0) & ~positive.all(0))
    areas = [area(ranks_of(scores[:, i]), positive[:, i]) for i in mixed]
    return float(np.mean(areas)) if areas else HALF


def r_squared(outputs: np.ndarray, truth: np.ndarray) -> float:
    """Return 1 - squared error / squared deviation from the mean, averaged over targets, at least -1."""
    spread = ((truth - truth.mean(0)) ** 2).sum(0)
    error = ((truth - outputs) ** 2).sum(0)
    with np.errstate(over="ignore", invalid="ignore"):
        by_target = 1 - error / np.where(spread > 0, spread, 1)
    return float(np.nanmean(np.maximum(by_target, FAILED)))


def worth(loss: float) -> float:
    """Return 1 - loss / (1 + |loss|), between 2 and 0, and 1 for a loss of 0; a loss that is not finite has failed."""
    return 1 - loss / (1 + abs(loss)) if math.isfinite(loss) else FAILED


def loss_of(worth: float) -> float:
    """Return the loss of a score from `worth`; infinite for a failed run."""
    if worth <= 0:
        return math.inf
    return (1 - worth) / (worth if worth <= 1 else 2 - worth)
