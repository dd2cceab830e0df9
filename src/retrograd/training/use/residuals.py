"""Predictions of quantities against true values: quantiles of the residuals, and the rows as points or counts."""

from __future__ import annotations

import numpy as np

from retrograd.record.judged import QUANTILES, Residuals

MOST_POINTS = 400  # drawn individually
CELLS = 40  # per side, into which more rows are counted
DIGITS = 6


def residuals(target: str, truth: np.ndarray, found: np.ndarray) -> Residuals:
    """Return the stored summary of one target's true values and predictions [rows], all finite."""
    quantiles = tuple(short(value) for value in np.quantile(found - truth, QUANTILES))
    low, high = float(min(truth.min(), found.min())), float(max(truth.max(), found.max()))
    if len(truth) <= MOST_POINTS:
        points = tuple((short(t), short(f)) for t, f in zip(truth, found, strict=True))
        return Residuals(target, quantiles, low, high, points=points)
    width = (high - low) or 1.0
    rows, columns = (np.clip((CELLS * ((v - low) / width)).astype(int), 0, CELLS - 1) for v in (found, truth))
    counts = np.bincount(rows * CELLS + columns, minlength=CELLS**2).reshape(CELLS, CELLS)
    return Residuals(target, quantiles, low, high, counts=tuple(map(tuple, counts.tolist())))


def short(value: float) -> float:
    """Return a number rounded to the digits useful in a drawing or a sentence."""
    return float(f"{value:.{DIGITS}g}")
