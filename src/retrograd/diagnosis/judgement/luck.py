"""Evidence from several seeds: which of them failed, and whether they fall short of a reference beyond noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from retrograd.diagnosis.judgement.measure import ERRORS, Measure

HALF = 0.5  # share of the best seed's gain below which a seed has failed
SURE = 0.99  # one-sided level of Student's t
GAIN, MORE = 0.02, 1.25  # smallest shortfall that a repair could verifiably remove; ratio to the reference's errors


def granted(scores: Sequence[float], luck: float = ERRORS) -> float:
    """Return the mean of several seeds' scores plus `luck` standard errors, but no more than the best score."""
    mean = math.fsum(scores) / len(scores)
    if len(scores) < 2:
        return mean
    variance = math.fsum((score - mean) ** 2 for score in scores) / (len(scores) - 1)
    return min(max(scores), mean + luck * math.sqrt(variance / len(scores)))


def failed(measure: Measure) -> list[int]:
    """Return the indices of seeds that learned less than half as much as the best, on training and on held-out rows.

    Both scores must fall short by more than chance: a low score on a few held-out rows alone may be bad luck.
    """
    if len(measure.own) < 2:
        return []
    pairs = ((measure.own, measure.own_trivial), (measure.held, measure.trivial))
    best_scores = [max(scores) for scores, _ in pairs]
    seeds = []
    for i in range(len(measure.own)):
        falls_short = [
            scores[i] - floor < HALF * (top - floor) and _short(measure, scores[i], top, rows)
            for (scores, floor), top, rows in zip(pairs, best_scores, (measure.own_rows, measure.rows), strict=True)
        ]
        misses = (
            measure.whole
            and measure.lags(measure.held[i], measure.best)
            and not measure.lags(best_scores[1], measure.best)
        )
        if all(falls_short) or misses:
            seeds.append(i)
    return seeds


def _short(measure: Measure, score: float, top: float, rows: int) -> bool:
    """Return whether a score is below the best seed's by more than chance (for R², by a relevant difference)."""
    return score < top - measure.least_gap and (measure.kind == "r2" or measure.lags(score, top, rows))


def below(errors: np.ndarray, reference: np.ndarray) -> tuple[float, bool]:
    """Return by how much a network's errors exceed a reference's on the same rows, and whether that is beyond noise.

        t = mean difference / sqrt(variance over rows / rows + variance over seeds / seeds),  Welch's degrees of freedom

    errors [seeds, rows], reference [rows]
    """
    from scipy.stats import t as student

    seeds, rows = errors.shape
    gap = errors.mean(0) - reference
    by_row = float(gap.var(ddof=1)) / rows if rows > 1 else math.inf
    by_seed = float(errors.mean(1).var(ddof=1)) / seeds if seeds > 1 else 0.0
    noise = by_row + by_seed
    shortfall = float(gap.mean())
    if noise == 0:
        return shortfall, shortfall > 0
    freedom = noise**2 / (by_row**2 / max(rows - 1, 1) + by_seed**2 / max(seeds - 1, 1))
    return shortfall, bool(shortfall / math.sqrt(noise) > student.ppf(SURE, max(freedom, 1.0)))
