"""What several seeds say together: which of them failed, and whether they are below a reference in spite of noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from retrograd.diagnosis.judgement.measure import ERRORS, Measure

HALF = 0.5  # of what other seeds learn
SURE = 0.99  # one-sided, of Student's t
GAIN, MORE = 0.02, 1.25  # a shortfall that a repair could prove to mend; and times the reference's errors


def granted(scores: Sequence[float], luck: float = ERRORS) -> float:
    """Return the mean of several seeds' scores and some standard errors: what the next seeds may well reach."""
    mean = math.fsum(scores) / len(scores)
    if len(scores) < 2:
        return mean
    variance = math.fsum((score - mean) ** 2 for score in scores) / (len(scores) - 1)
    return min(1.0, mean + luck * math.sqrt(variance / len(scores)))


def failed(measure: Measure) -> list[int]:
    """Return which seeds learned less than half of what the best one did, of their training rows and of the others.

    Both have to fall short by more than chance: a score on few held-out rows alone may be bad luck of these rows.
    """
    if len(measure.own) < 2:
        return []
    pairs = ((measure.own, measure.own_trivial), (measure.held, measure.trivial))
    tops = [max(scores) for scores, _ in pairs]
    found = []
    for i in range(len(measure.own)):
        short = [
            scores[i] - floor < HALF * (top - floor) and _short(measure, scores[i], top, rows)
            for (scores, floor), top, rows in zip(pairs, tops, (measure.own_rows, measure.rows), strict=True)
        ]
        misses = (
            measure.whole and measure.lags(measure.held[i], measure.best) and not measure.lags(tops[1], measure.best)
        )
        if all(short) or misses:
            found.append(i)
    return found


def _short(measure: Measure, score: float, top: float, rows: int) -> bool:
    """Return whether a seed's score is below another one's by more than the rows' chance; of R², by what counts."""
    return score < top - measure.least_gap and (measure.kind == "r2" or measure.lags(score, top, rows))


def below(errors: np.ndarray, reference: np.ndarray) -> tuple[float, bool]:
    """Return by how much more a network errs than a reference on the same rows, and whether that is beyond noise.

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
