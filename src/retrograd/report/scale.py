"""An axis, which maps numbers to positions, linearly or logarithmically, and has labels at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from retrograd.present.markup import Markup, element
from retrograd.present.numbers import number

LOGARITHMIC_FROM = 30.0  # ratio of the largest to the smallest number
MOST_TICKS = 6
MOST_DIGITS = 12
STEPS = (1, 2, 5, 10)
LARGEST = 1e300  # larger numbers are drawn here, since their sums would not be finite
PLACES = 1000  # positions along an axis


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`; for a logarithmic axis, these are base-10 logarithms."""

    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> int:
        """Return the position of a finite number, from 0 to 1000."""
        x = math.log10(value) if self.logarithmic else _bounded(value)
        return round(PLACES * ((x - self.low) / (self.high - self.low)))

    def ticks(self) -> list[float]:
        """Return a few round numbers on the axis."""
        if self.logarithmic:
            return _decades(self.low, self.high)
        step = _step((self.high - self.low) / MOST_TICKS)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def scale_for(
    values: Iterable[float], may_be_logarithmic: bool = False, most: float = math.inf, least_share: float = 0.0
) -> Scale | None:
    """Return an axis that covers all finite numbers, with no margin beyond `most`; None if there are none.

    It spans at least `least_share` of its largest number: smaller changes look flat, and labels stay short.
    """
    finite = [_bounded(value) for value in values if math.isfinite(value)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    if may_be_logarithmic and low > 0 and high / low >= LOGARITHMIC_FROM:
        return Scale(*_widened(math.log10(low), math.log10(high)), logarithmic=True)
    missing = max(0.0, least_share * max(abs(low), abs(high)) - (high - low)) if high > low else 0.0
    first, last = _widened(low - missing / 2, high + missing / 2)
    return Scale(first, min(last, max(most, high)))


def labels(scale: Scale, side: str, ticks: Sequence[float]) -> Iterator[Markup]:
    """Yield the labels of an axis, with enough digits to tell them apart; `side` is left or top."""
    enough = (d for d in range(3, MOST_DIGITS) if len({number(tick, d) for tick in ticks}) == len(ticks))
    digits = next(enough, MOST_DIGITS)
    for tick in ticks:
        place = scale.place(tick) if side == "left" else PLACES - scale.place(tick)
        yield element("span", number(tick, digits), style=f"{side}:{place / 10:g}%")


def _bounded(value: float) -> float:
    return min(max(value, -LARGEST), LARGEST)


def _widened(low: float, high: float) -> tuple[float, float]:
    """Widen a range by a margin, so that no curve touches the frame."""
    margin = 0.04 * (high - low) or abs(high) / 2 or 1.0
    return low - margin, high + margin


def _step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, ... that is at least `least`."""
    decade = 10.0 ** math.floor(math.log10(least))
    return next((decade * step for step in STEPS if decade * step >= least * (1 - 1e-9)), decade * 10)


def _decades(low: float, high: float) -> list[float]:
    first, last = math.ceil(low), math.floor(high)
    if last - first >= 2:
        every = math.ceil((last - first + 1) / MOST_TICKS)
        return [10.0**i for i in range(first, last + 1, every)]
    fine = (step * 10.0**i for i in range(math.floor(low), last + 1) for step in STEPS[:3])
    return [value for value in fine if low <= math.log10(value) <= high]
