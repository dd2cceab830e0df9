"""The score that needs no learning: what the best constant answer reaches."""

from __future__ import annotations

import math
from dataclasses import dataclass

from retrograd.record.events import Metrics
from retrograd.record.judged import Judged

SURE = 3  # standard errors
BEST = 1.0  # the maximum, which luck may reach on a handful of rows
SMALLEST_GAIN = 0.01  # gain over a constant answer, below which a network has learned nothing


@dataclass(frozen=True)
class Chance:
    """The score of a run and that of the best constant answer."""

    metric: str
    reached: float
    level: float
    answer: str
    luck: float  # standard error of the level on the same number of rows

    @property
    def is_failure(self) -> bool:
        """Whether luck alone could explain the score."""
        return self.reached < min(self.level + max(SURE * self.luck, SMALLEST_GAIN), BEST)


def chance_of(judged: Judged, scores: Metrics) -> Chance | None:
    """Return the score of the best constant answer on the judged rows; None if it is unknown."""
    if judged.counts and judged.right is not None and judged.count:
        sizes = [sum(row) for row in judged.counts]
        likeliest = max(range(len(sizes)), key=lambda i: sizes[i])
        level = sizes[likeliest] / judged.count
        luck = math.sqrt(level * (1 - level) / judged.count)
        return Chance("accuracy", judged.right / judged.count, level, f"always '{judged.classes[likeliest]}'", luck)
    reached = scores.get(judged.part, {}).get("r2")
    return None if reached is None or not judged.residuals else Chance("R²", reached, 0.0, "always the mean", 0.0)
