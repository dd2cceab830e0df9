"""Random search: the baseline that a repair must beat with the same updates."""

from __future__ import annotations

import dataclasses
import random

from retrograd.diagnosis.diagnose import Diagnosis
from retrograd.diagnosis.remedy import remedies
from retrograd.repairs.trial import Budget, Source, Ward
from retrograd.training.config.config import RunConfig, with_rate

TRIES, TOO_DEAR = 200, 10  # maximum number of draws, and of consecutive draws that are too expensive
FACTORS = (0.01, 1000.0)  # range of the learning rate's change, drawn on a logarithmic scale


def random_search(diagnosis: Diagnosis, source: Source | None, updates: int, seed: int = 0) -> RunConfig:
    """Return the best of randomly drawn configurations: any remedies together with any learning rate.

    It may use the same remedies and lacks only the knowledge of which to choose.
    """
    draw = random.Random(seed)
    ward = Ward(diagnosis.program, source, Budget(updates))
    best, too_dear = ward.start(diagnosis), 0
    for _ in range(TRIES):
        names = [name for name in remedies if draw.random() < 0.25]  # about the size of a bundle
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
