"""Whether predictions fit answers better than chance: permutation tests of accuracy and of ranking."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SHUFFLES = 400  # a chance of 0.05 is then known to 0.011
FEWEST_ROWS = 8  # minimum for a permutation test


def ranking(scores: np.ndarray, truth: np.ndarray, classes: bool) -> float:
    """Return how well predictions rank answers: 0 is chance, 1 is perfect, below 0 is reversed.

    classes: the mean over the classes of 2 AUC - 1, with scores [rows, classes] and class numbers [rows]
    numbers: Spearman's rank correlation, averaged over targets, both [rows, targets]
    """
    return Ranking(scores, truth, classes).of(truth)


class Ranking:
    """Fixed predictions, ranked once, to be compared with answers in any order."""

    def __init__(self, scores: np.ndarray, truth: np.ndarray, classes: bool) -> None:
        self.classes = classes
        scores = np.asarray(scores, np.float64).reshape(len(truth), -1)
        self.ranks = np.stack([ranks_of(column) for column in scores.T], 1)
        counts = np.bincount(truth, minlength=scores.shape[1])[: scores.shape[1]] if classes else np.zeros(0)
        self.numbers = np.flatnonzero(counts)

    def of(self, truth: np.ndarray) -> float:
        """Return the ranking of these predictions against answers."""
        if not self.classes:
            return _correlation(
                self.ranks, np.stack([ranks_of(column) for column in truth.reshape(len(truth), -1).T], 1)
            )
        areas = [2 * area(self.ranks[:, k], truth == k) - 1 for k in self.numbers]
        return float(np.mean(areas)) if len(areas) > 1 else 0.0


def share_by_chance(statistic: Callable[[np.ndarray], float], truth: np.ndarray, seed: int) -> float | None:
    """Return how often shuffled answers reach the statistic of the true ones; None for too few rows."""
    if len(truth) < FEWEST_ROWS:
        return None
    rng = np.random.default_rng(seed)
    actual = statistic(truth)
    as_good = sum(statistic(truth[rng.permutation(len(truth))]) >= actual for _ in range(SHUFFLES))
    return float(as_good + 1) / (SHUFFLES + 1)


def area_error(area: float, positives: int, negatives: int) -> float:
    """Return the standard error of an area under the ROC curve (Hanley & McNeil 1982)."""
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positives - 1) * (first - area**2) + (negatives - 1) * (second - area**2)
    return float(np.sqrt(max(spread, 0.0) / max(positives * negatives, 1)))


def ranks_of(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1, equal values sharing their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place.reshape(-1)], np.float64)


def area(ranks: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under the ROC curve from ranks and positives, both [rows]; 0.5 if all rows are of one kind."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return 0.5
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        return 0.0
    a, b = a - a.mean(0), b - b.mean(0)
    size = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return float(np.mean(np.where(size > 0, (a * b).sum(0) / np.where(size > 0, size, 1), 0.0)))
