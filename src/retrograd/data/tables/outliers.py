"""Single values far from all others: a typo, another unit, or a number that means "missing"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

FEWEST = 20  # values; among fewer, a gap may be chance
FEW, MANY = 0.02, 0.4  # maximum share of extreme values, and of a number that means "missing"
COARSE, TIMES = 10, 10.0  # with fewer distinct values, a gap must be this many times wider: codes leave gaps
BINS, BLOCK = 24, 1 << 18
WORDS = {-1.0, 32767.0, -32768.0, 2147483647.0, -2147483648.0}  # beside 99, -999 and the like


class Outliers(NamedTuple):
    """The number of extreme values, the farthest of them, the range of all others, and whether it looks like a code."""

    cells: int
    farthest: float
    low: float
    high: float
    is_code: bool

    def words(self) -> str:
        """Return the finding in words."""
        are = "1 cell is" if self.cells == 1 else f"{self.cells} cells are"
        rest = f"while the rest ranges from {self.low:.4g} to {self.high:.4g}"
        sentence = f"{are} far from all others: {self.farthest:g}, {rest}"
        return f"{sentence}; it looks like a code for a missing value" if self.is_code else sentence


def outliers(values: np.ndarray) -> Outliers | None:
    """Return the few values separated from all others by a gap that is wider than the range of the others.

    The gap must exist on a linear and on a logarithmic scale, asinh((v - median) / quartile range): samples of normal,
    exponential and lognormal quantities, and of power laws with few finite moments, have no such gap. A number that
    means "missing" (99, -999) repeats; for it, the linear scale is enough.
    """
    values = np.asarray(values, np.float64).reshape(-1)
    if not _may_have_gap(values):
        return None
    values = np.sort(values[np.isfinite(values)])
    if len(values) < FEWEST:
        return None
    beyond = _beyond(values, values, True)
    if beyond is not None and beyond.is_code:
        return beyond
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    away = np.abs(values - middle)
    unit = high - low if high > low else float(np.median(away[away > 0]))
    return beyond and _beyond(values, np.arcsinh((values - middle) / unit), False)


def _may_have_gap(values: np.ndarray) -> bool:
    """Return whether, judging by 24 bins, a few values may lie beyond a gap that is wider than the range of the others.

    If the others reach from bin i to bin j, such a gap is wider than j - i - 1 bins, and the next value is at least
    j - i - 1 bins away, or one less because bins are rounded. This takes a fraction of the time of sorting millions of
    values, and no memory.
    """
    ends = [(block.min(), block.max()) for block in _finite_blocks(values)]
    if not ends:
        return False
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if low == high:
        return False
    counts = np.zeros(BINS, np.intp)
    with np.errstate(over="ignore", invalid="ignore"):
        for block in _finite_blocks(values):
            bins = (block - low) * (BINS / (high - low))
            if not np.isfinite(bins).all():  # the range overflows
                return True
            counts += np.bincount(np.minimum(bins.astype(np.intp), BINS - 1), minlength=BINS)
    places = np.flatnonzero(counts)
    counts, steps = counts[places], [0, *np.diff(places), 0]
    firsts = [i for i in range(len(places)) if _may_lie_beyond(counts[:i], len(values))]
    lasts = [j for j in range(len(places)) if _may_lie_beyond(counts[j + 1 :], len(values))]
    return any(i <= j and max(steps[i], steps[j + 1]) >= places[j] - places[i] - 2 for i in firsts for j in lasts)


def _may_lie_beyond(counts: np.ndarray, total: int) -> bool:
    """Return whether the values in some bins are few enough to be extreme, or may be one repeated number."""
    count = counts.sum()
    return bool(count <= max(1, FEW * total) or (len(counts) == 1 and count <= MANY * total))


def _finite_blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the finite values, some at a time."""
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        finite = np.isfinite(block)
        block = block if finite.all() else block[finite]
        if len(block):
            yield block


def _beyond(values: np.ndarray, places: np.ndarray, coded: bool) -> Outliers | None:
    """Return the values beyond a gap at either end, given their places on a scale."""
    gaps = np.diff(places)
    first, last = 0, len(values) - 1  # of the rest
    ends = _gap_at_end(values, gaps), _gap_at_end(-values[::-1], gaps[::-1])
    lower, upper = ends[0], None if ends[1] is None else len(values) - ends[1]
    inner = (lower or 0, (upper or len(values)) - 1)
    different = len(np.unique(values[inner[0] : inner[1] + 1]))
    width = (places[inner[1]] - places[inner[0]]) * (1.0 if different >= COARSE else TIMES)
    if lower is not None and gaps[lower - 1] > width > 0:
        first = lower
    if upper is not None and gaps[upper - 1] > width > 0:
        last = upper - 1
    count = first + len(values) - 1 - last
    if count == 0:
        return None
    rest = values[first : last + 1]
    extreme = np.concatenate([values[:first], values[last + 1 :]])
    farthest = float(extreme[np.abs(extreme - np.median(rest)).argmax()])
    is_code = coded and len(np.unique(extreme)) == 1 and count > 2 and _is_code(farthest)
    if count > FEW * len(values) and count > 1 and not is_code:
        return None
    return Outliers(count, farthest, float(rest[0]), float(rest[-1]), is_code)


def _gap_at_end(values: np.ndarray, gaps: np.ndarray) -> int | None:
    """Return how many values the widest gap near the beginning separates from the rest."""
    same = int(np.searchsorted(values, values[0], side="right"))  # the first value and its repetitions
    reach = max(1, int(FEW * len(values)))
    places = np.flatnonzero(gaps[:reach] > 0) + 1
    if same > reach and same <= MANY * len(values):
        places = np.append(places, same)
    return int(places[gaps[places - 1].argmax()]) if len(places) else None


def _is_code(value: float) -> bool:
    """Return whether a number commonly means a missing value: nines, or the limits of integers."""
    digits = f"{abs(value):g}"
    return value in WORDS or (len(digits) > 1 and set(digits) == {"9"})
