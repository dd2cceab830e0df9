"""The measures by which runs are judged, with their references: accuracy, R², mean AUC, ranking, loss as a score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from retrograd.diagnosis.judgement.chance import Ranking, area_error, ranking, share_by_chance
from retrograd.diagnosis.judgement.levels import LUCK, SURER, WORDS, row_errors
from retrograd.diagnosis.judgement.score import FAILED, HALF, columns_of, labels, shares
from retrograd.diagnosis.judgement.usual_rows import UsualRows
from retrograd.diagnosis.observe import Observed
from retrograd.diagnosis.original_unit import comparable
from retrograd.diagnosis.program import Program

ACCURACY_GAP, R2_GAP, TIMES = (
    0.05,
    0.1,
    2.0,
)  # smaller gaps, or less than twice the unexplained variance, are no failure
ERRORS = 2.0  # standard errors of a difference beyond which it is not chance
RARE = 0.75  # accuracy of a constant from which the other classes are rare: a third as frequent, or less
MANY = 10**9  # number of rows with which nothing is chance


class Measure(NamedTuple):
    """Scores of several runs on held-out rows (`held`) and training rows (`own`), and of references; larger is better.

    kinds: accuracy, r2, auc (0.5 is chance), rank (2 AUC - 1; 0 is chance), order (rank correlation; 0 is chance), gain
    (loss as a score, for tokens). `rows` is the sample size for the error of a score.
    """

    name: str
    kind: str
    held: list[float]
    own: list[float]
    best: float
    best_words: str
    trivial: float
    linear: float
    own_trivial: float
    rows: int
    own_rows: int
    where: str
    classes: tuple[int, int] = (0, 0)  # number of rows of the rarest class, and of all others
    whole: bool = False  # whether the rows are a complete truth table

    def lags(self, score: float, reference: float, rows: int | None = None) -> bool:
        """Return whether a score is below a reference by more than chance explains."""
        rows = self.rows if rows is None else rows
        if self.kind == "accuracy":
            share = min(max((score + reference) / 2, 0.0), 1.0)
            error = math.sqrt(share * (1 - share) / max(rows, 1))  # the same rows: half the variance of two samples
            return score < reference - max(ACCURACY_GAP, ERRORS * error)
        if self.kind == "auc":
            error = area_error(max(score, reference, 0.5), *self.classes) if rows < MANY else 0.0
            return score < reference - max(ACCURACY_GAP, ERRORS * error)
        if self.kind == "rank":
            error = 2 * area_error((1 + max(score, reference, 0.0)) / 2, *self.classes) if rows < MANY else 0.0
            return score < reference - max(2 * ACCURACY_GAP, ERRORS * error)
        if self.kind == "order":  # Spearman's, by Bonett and Wright 2000
            share = min(max((score + reference) / 2, -1.0), 1.0)
            error = (1 - share**2) * math.sqrt((1 + share**2 / 2) / max(rows - 3, 1)) if rows < MANY else 0.0
            return score < reference - max(2 * ACCURACY_GAP, ERRORS * error)
        if self.kind == "gain":
            return score < (1 - 2 * ACCURACY_GAP) * reference
        return score < reference - R2_GAP and 1 - score > TIMES * (1 - reference)

    def shown(self, score: float) -> float:
        """Return a score as it is usually quoted: AUC instead of 2 AUC - 1."""
        return (1 + score) / 2 if self.kind == "rank" else score

    @property
    def least_gap(self) -> float:
        """The smallest relevant difference, for any number of rows."""
        return {"r2": R2_GAP, "rank": 2 * ACCURACY_GAP, "order": 2 * ACCURACY_GAP}.get(self.kind, ACCURACY_GAP)


def lags(score: float, reference: float, rows: int, classifies: bool) -> bool:
    """Return whether a score is below a reference by more than chance explains.

    Accuracy: by 0.05 and by 2 standard errors of the difference of two shares on as many rows. R²: by 0.1, with twice
    the unexplained variance.
    """
    kind = "accuracy" if classifies else "r2"
    return Measure("", kind, [], [], 1.0, "", 0.0, 0.0, 0.0, rows, rows, "").lags(score, reference)


def measure(program: Program, runs: Sequence[Observed]) -> Measure:
    """Return the measure for runs of a program whose answers are classes or numbers.

    If a class is so rare that no reference beats the most frequent class by a relevant difference, accuracy cannot
    distinguish networks, and they are judged by ranking. The same applies if a few huge targets dominate the squared
    error of every answer.
    """
    levels, split = program.data.levels, program.dataset.valid is not None
    rows, where = program.dataset.rows["train"], "held-out rows" if split else "its own training rows"
    where += _left_out(program, "valid" if split else "train")
    if ranks_only(program):
        part, (name, kind, classes) = "valid" if split else "train", ("rank correlation", "order", (0, 0))
        best = max(levels.ranking, key=lambda name: levels.ranking[name])
        if program.data.classifies:
            truth = np.asarray(columns_of(program.dataset, part)["y"]).reshape(-1).astype(int)
            rarest = int(np.min(np.bincount(truth)[np.bincount(truth) > 0]))
            name, kind, classes = "AUC", "rank", (rarest, len(truth) - rarest)
        return Measure(
            name, kind, [ranks(program, run, part) for run in runs],
            [ranks(program, run, "train") for run in runs], levels.ranking[best], WORDS[best], 0.0, 0.0, 0.0,
            levels.rows, rows, where, classes,
        )  # fmt: skip
    classes, (name, kind) = (0, 0), ("accuracy", "accuracy") if program.data.classifies else ("R²", "r2")
    if program.dataset.task == "multilabel":
        name, kind, classes = "mean AUC", "auc", _middle_label(program)
    return Measure(
        name, kind, [run.score for run in runs], [run.train_score for run in runs], levels.best, levels.best_words,
        levels.trivial, levels.train.get("linear", 0.0), levels.train.get("trivial", 0.0),
        MANY if levels.whole else levels.rows, rows, where, classes, levels.whole,
    )  # fmt: skip


def _left_out(program: Program, part: str) -> str:
    """Return the remark about the rows of a part that are excluded because of extreme targets."""
    usual = UsualRows(program.dataset)
    if not usual.ranges:
        return ""
    excluded = int((~usual.of(np.asarray(columns_of(program.dataset, part)["y"]))).sum())
    return f" ({excluded} with an extreme target excluded)" if excluded else ""


def _middle_label(program: Program) -> tuple[int, int]:
    """Return how many measured rows have the label of median frequency, and how many do not; each at least 1."""
    y = np.asarray(columns_of(program.dataset, "train" if program.dataset.valid is None else "valid")["y"])
    positive = int(np.median((y.reshape(len(y), -1) > HALF).sum(0)))
    return max(1, positive), max(1, len(y) - positive)


def ranks_only(program: Program) -> bool:
    """Return whether answers can be ranked, although no reference beats a constant by accuracy or R²."""
    levels = program.data.levels
    best = max(levels.ranking.values(), default=0.0)
    can_rank = levels.chance is not None and levels.chance <= LUCK and best > 2 * ACCURACY_GAP
    if program.data.classifies:
        return can_rank and levels.trivial >= RARE and levels.best - levels.trivial < ACCURACY_GAP
    return can_rank and program.dataset.task == "regression" and levels.best < R2_GAP


def measure_of_losses(program: Program, runs: Sequence[Observed]) -> Measure | None:
    """Return the measure for runs that have only a loss; None without a reference for it."""
    levels = program.loss_levels
    if levels is None:
        return None
    part = "train" if program.dataset.valid is None else "valid"
    linear = levels.constant if levels.linear is None else levels.linear
    best, words = (
        (levels.linear, levels.linear_words) if linear < levels.constant else (levels.constant, levels.constant_words)
    )
    assert best is not None
    scores = {
        name: [FAILED if run.broken else levels.score(levels.loss(run.variables, name)) for run in runs]
        for name in {part, "train"}
    }
    kind = "gain" if program.dataset.task in ("next_token", "masked_token") else "r2"
    return Measure(
        "loss", kind, scores[part], scores["train"],
        levels.score(best), words, 0.0, 0.0, 0.0, MANY, MANY,
        "held-out rows" if part == "valid" else "its own training rows",
    )  # fmt: skip


def ranks(program: Program, run: Observed, part: str) -> float:
    """Return how well a run's final outputs rank the answers of a part, by `chance.ranking`."""
    ranked = None if run.broken else _ranked(program, run, part)
    return FAILED if ranked is None else ranking(*ranked, program.data.classifies)


def beats_chance(program: Program, run: Observed, luck: float = SURER) -> bool:
    """Return whether a run ranks held-out answers better than all but the share `luck` of random pairings does."""
    if program.data.y is None or run.broken or program.dataset.valid is None:
        return False
    ranked = _ranked(program, run, "valid")
    if ranked is None:
        return False
    scores, truth = ranked
    chance = share_by_chance(Ranking(scores, truth, program.data.classifies).of, truth, 0)
    return chance is not None and chance <= luck


def _ranked(program: Program, run: Observed, part: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the ranking scores of a part's rows, and the true answers; None if outputs are not finite."""
    scorer, truth = program.runs.scorer, np.asarray(columns_of(program.dataset, part)["y"])
    outputs = np.asarray(scorer.outputs(run.variables, part), np.float64)
    if not np.isfinite(outputs).all():
        return None
    if program.data.classifies:
        return shares(outputs, scorer.logits), truth.reshape(-1).astype(int)
    return outputs.reshape(len(outputs), -1), truth.reshape(len(truth), -1)


def errors_by_row(program: Program, run: Observed, part: str, rows: np.ndarray) -> np.ndarray:
    """Return a run's error on each row: 1 for a wrong class, or the squared error / variance."""
    outputs = np.asarray(program.runs.scorer.outputs(run.variables, part), np.float64)[rows].reshape(len(rows), -1)
    truth = np.asarray(columns_of(program.dataset, part)["y"])[rows]
    if program.data.classifies:
        return row_errors(labels(outputs, program.runs.scorer.logits), truth.reshape(-1).astype(int), True)
    answers = np.asarray(truth, np.float64).reshape(len(rows), -1)
    return row_errors(comparable(program.dataset, outputs), comparable(program.dataset, answers), False)
