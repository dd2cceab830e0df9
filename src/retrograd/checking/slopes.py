"""Central differences of a function along one entry, the corners where there are none, and verdicts on errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

STEP, SMALLER = 1e-5, (1e-6, 1e-7)  # relative to the entry; the smaller steps avoid a nearby corner
BENT = 1e-4  # relative difference of the slopes on the two sides of a corner

Verdict = Literal["exact", "acceptable", "suspicious", "wrong"]
LIMITS: tuple[tuple[float, Verdict], ...] = ((1e-7, "exact"), (1e-5, "acceptable"), (1e-3, "suspicious"))
EXACT, ACCEPTABLE, WRONG = (limit for limit, _ in LIMITS)


def slope(at: Callable[[float], float], x: float, middle: float) -> float | None:
    """Return (f(x + h) - f(x - h)) / 2h, or None at a corner, where the two sides differ however small h is.

    h = 1e-5 max(1, |x|): truncation h^2 and round-off eps f / h are then both about 1e-10.
    """
    for step in (STEP, *SMALLER):
        h = step * max(1.0, abs(x))
        right, left = at(x + h), at(x - h)
        forward, backward = (right - middle) / h, (middle - left) / h
        noise = 1e-15 * max(abs(middle), 1.0) / h
        if abs(forward - backward) <= BENT * max(abs(forward), abs(backward)) + 100 * noise + 10 * step:
            return (right - left) / (2 * h)
    return None


def verdict_of(error: float) -> Verdict:
    """Return the verdict on a relative error: exact up to 1e-7, acceptable 1e-5, suspicious 1e-3, else (NaN) wrong."""
    return next((word for limit, word in LIMITS if error <= limit), "wrong")


def resolution(value: float) -> float:
    """Return the size below which gradients of a function with this value are indistinguishable from rounding."""
    return 1e-15 * max(abs(value), 1.0) / STEP / EXACT
