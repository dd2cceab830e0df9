"""What a run's dispatches are given, and where training pauses for a look at whether it is still healthy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from retrograd.data.batches import EpochOrder

LOOK_STEPS = 448  # between two looks in a long epoch: so much is lost at most, and twice as much just before its end


def dispatches(orders: Sequence[EpochOrder], steps: int) -> Iterator[np.ndarray]:
    """Yield the row numbers of each dispatch of some epochs: [steps, batch] of several steps, [batch] of a single one.

    Where a smaller batch ends each epoch, no dispatch holds steps of two epochs.
    """
    apart = [[order] for order in orders]
    for together in apart if any(order.rest is not None for order in orders) else [list(orders)]:
        full = np.concatenate([order.full for order in together])
        yield from full if steps == 1 else (full[i : i + steps] for i in range(0, len(full), steps))
        if together[-1].rest is not None:
            yield together[-1].rest


def stretches(given: Iterable[np.ndarray], total: int, least: int = LOOK_STEPS) -> Iterator[list[np.ndarray]]:
    """Yield the dispatches of `total` steps in stretches of at least so many steps: all at once if they are few."""
    stretch: list[np.ndarray] = []
    steps, left = 0, total
    for order in given:
        stretch.append(order)
        steps += len(order) if order.ndim == 2 else 1
        if steps >= least and left - steps >= least:
            yield stretch
            stretch, steps, left = [], 0, left - steps
    if stretch:
        yield stretch


def minibatches(stretch: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the row numbers of each step of some dispatches."""
    for order in stretch:
        yield from order if order.ndim == 2 else [order]
