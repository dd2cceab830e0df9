"""Random search: the baseline that a repair must beat with the same number of updates."""

from __future__ import annotations

import dataclasses
import random

from retrograd.diagnosis.diagnose import Diagnosis
from retrograd.diagnosis.remedy import remedies
from retrograd.repairs.trial import Budget, Source, Ward
from retrograd.training.config.config import RunConfig, with_rate

TRIES, TOO_DEAR = 200, 10  # maximum number of draws, and of consecutive draws that are too expensive
FACTORS = (0.01, 1000.0)  # range of the factor on the learning rate, drawn on a logarithmic scale


def random_search(diagnosis: Diagnosis, source: Source | None, updates: int, seed: int = 0) -> RunConfig:
    """Return the best of randomly drawn configurations, with any remedies and any learning rate.

    It has the same remedies as a repair, but no diagnosis to choose among them.
    """
    draw = random.Random(seed)
    ward = Ward(diagnosis.program, source, Budget(updates))
    best, too_dear = ward.start(diagnosis), 0
    for _ in range(TRIES):
        names = [name for name in remedies if draw.random() < 0.25]  # about as many as in a bundle
        draw.shuffle(names)
        candidate = ward.candidate(names)
        low, high = FACTORS
        factor = low * (high / low) ** draw.random()
        config = with_rate(candidate.config, float(f"{candidate.config.optimizer.first_rate * factor:.3g}"))
        candidate = dataclasses.replace(candidate, config=config)
        price = ward.price(candidate)
        too_dear = too_dear + 1 if price > ward.budget.left else 0
        if too_dear == TOO_DEAR:
            break
        if too_dear:
            continue
        ward.run(candidate, 1)
        if candidate.mean > best.mean:
            best = candidate
        ward.forget([best])
    return best.config
