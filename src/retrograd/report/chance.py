"""The score that needs no learning: that of the best constant prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from retrograd.record.judged import Judged

SURE = 3  # standard errors
BEST = 1.0  # the maximum, which chance may reach on a handful of rows
SMALLEST_GAIN = 0.01  # over a constant prediction; with less, a network has learned nothing


@dataclass(frozen=True)
class Chance:
    """The score of a run and that of the best constant prediction."""

    metric: str
    reached: float
    level: float
    answer: str
    luck: float  # standard error of the level on the same number of rows

    @property
    def is_failure(self) -> bool:
        """Whether chance alone could explain the score."""
        return self.reached < min(self.level + max(SURE * self.luck, SMALLEST_GAIN), BEST)


def chance_of(judged: Judged, scores: Mapping[str, Mapping[str, float]]) -> Chance | None:
    """Compare the score with that of the best constant prediction on the same rows; None if unknown."""
    if judged.counts and judged.right is not None and judged.count:
        sizes = [sum(row) for row in judged.counts]
        largest = max(range(len(sizes)), key=lambda i: sizes[i])
        level = sizes[largest] / judged.count
        luck = math.sqrt(level * (1 - level) / judged.count)
        return Chance("accuracy", judged.right / judged.count, level, f"always '{judged.classes[largest]}'", luck)
    reached = scores.get(judged.part, {}).get("r2")
    return None if reached is None or not judged.residuals else Chance("R²", reached, 0.0, "always the mean", 0.0)
