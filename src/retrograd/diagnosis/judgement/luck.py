"""Evidence from several seeds: which of them failed, and whether they are below a reference beyond noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from retrograd.diagnosis.judgement.measure import ERRORS, Measure

HALF = 0.5  # of the other seeds' gain
SURE = 0.99  # one-sided, of Student's t
GAIN, MORE = 0.02, 1.25  # a shortfall that a repair could verifiably remove; and the ratio to the reference's errors


def granted(scores: Sequence[float], luck: float = ERRORS) -> float:
    """Return the mean of several seeds' scores plus `luck` standard errors, but no more than the best seed reached."""
    mean = math.fsum(scores) / len(scores)
    if len(scores) < 2:
        return mean
    variance = math.fsum((score - mean) ** 2 for score in scores) / (len(scores) - 1)
    return min(max(scores), mean + luck * math.sqrt(variance / len(scores)))


def failed(measure: Measure) -> list[int]:
    """Return which seeds learned less than half as much as the best one, on training rows and on others.

    Both must fall short by more than chance: a low score on few held-out rows alone may be bad luck.
    """
    if len(measure.own) < 2:
        return []
    pairs = ((measure.own, measure.own_trivial), (measure.held, measure.trivial))
    tops = [max(scores) for scores, _ in pairs]
    seeds = []
    for i in range(len(measure.own)):
        short = [
            scores[i] - floor < HALF * (top - floor) and _short(measure, scores[i], top, rows)
            for (scores, floor), top, rows in zip(pairs, tops, (measure.own_rows, measure.rows), strict=True)
        ]
        misses = (
            measure.whole and measure.lags(measure.held[i], measure.best) and not measure.lags(tops[1], measure.best)
        )
        if all(short) or misses:
            seeds.append(i)
    return seeds


def _short(measure: Measure, score: float, top: float, rows: int) -> bool:
    """Return whether a seed's score is below another's by more than chance (for R², by a relevant difference)."""
    return score < top - measure.least_gap and (measure.kind == "r2" or measure.lags(score, top, rows))


def below(errors: np.ndarray, reference: np.ndarray) -> tuple[float, bool]:
    """Return the excess of a network's errors over a reference's on the same rows, and whether it is beyond noise.

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
