"""How far an output is from the expected one."""

from __future__ import annotations

import numpy as np


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference, relative to the largest finite expected number or 1."""
    if found.shape != wanted.shape:
        return float("inf")
    if not wanted.size:
        return 0.0
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0, np.abs(found - wanted))
    largest = np.abs(wanted[np.isfinite(wanted)]).max(initial=1.0)
    return float(np.where(np.isnan(apart), np.inf, apart / largest).max())
