"""Readable numbers: few digits, a power of ten only where needed, units for bytes and seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

DIGITS = 5
SMALLEST, LARGEST = 1e-3, 1e7  # outside this range, numbers are written with a power of ten
THOUSANDS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def number(value: float | None, digits: int = DIGITS) -> str:
    """Format a number for a sentence: 0.31416, 31,416, 3.1416e-7; `-` for None."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    rounded = float(f"{value:.{digits}g}")
    if rounded and not SMALLEST <= abs(rounded) < LARGEST:
        return re.sub(r"(\.0+|(\.\d*?)0+)e", r"\2e", _power(value, digits - 1))
    return f"{rounded:,.{digits + 3}f}".rstrip("0").rstrip(".")


def aligned(values: Sequence[float | None]) -> list[str]:
    """Format a row or column of numbers, all with the decimals that suit the largest; `-` for None.

    A number that would round to 0 is written with a power of ten.
    """
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    if largest and not SMALLEST <= largest < LARGEST:
        return ["-" if value is None else _power(value, 3) for value in values]
    decimals = min(4, max(0, 4 - (math.floor(math.log10(largest)) if largest else 0)))
    return [
        "-" if value is None else _power(value, 1) if 0 < abs(value) < 0.5 * 10**-decimals else f"{value:.{decimals}f}"
        for value in values
    ]


def alone(value: float | None) -> str:
    """Format a single number as `aligned` does: with four decimals, or fewer if it is large."""
    return aligned([value])[0]


def brief(value: float, digits: int = 4) -> float | str:
    """Round a number to a few digits for a page's script; NaN and infinities become strings."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else str(value)


def count(value: float) -> str:
    """Format a count with three digits and a unit prefix: 8.19 k."""
    return next((f"{value / unit:.3g} {name}" for unit, name in THOUSANDS if value >= unit), f"{value:,}")


def size(value: float) -> str:
    """Format a number of bytes with its unit: 32.5 KiB."""
    return next((f"{value / unit:.3g} {name}" for unit, name in BINARY if value >= unit), f"{value:,.0f} B")


def duration(seconds: float) -> str:
    """Format seconds in suitable units: 120 us, 3.5 s, 2 min 5 s, 1 h 20 min."""
    for limit, unit, name in ((1e-3, 1e-6, "us"), (1, 1e-3, "ms"), (60, 1, "s")):
        if seconds < limit:
            return f"{seconds / unit:.3g} {name}"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _power(value: float, decimals: int) -> str:
    return re.sub(r"e([+-])0*(\d)", lambda e: f"e{e[1].strip('+')}{e[2]}", f"{value:.{decimals}e}")
