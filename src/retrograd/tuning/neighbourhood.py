"""The cost of settings together with similar ones: less a matter of luck than that of one trial.

See:  Nadaraya 1964 and Watson 1964 (kernel regression); Clark 1975 (widths by cross-validation)
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

WIDTHS = (0.05, 0.1, 0.2, 0.4, 0.8, 3.0)  # of a neighbourhood along a range, in shares of it; 3: all of it
FIRST_WIDTH = 0.2
ROUNDS = 2  # in which the width along each range is chosen in turn
MOST_SETTINGS = 200  # compared; of more, an even selection: the best alone would all be lucky

Place = tuple[float, ...]  # of settings: the position of each along its range, from 0 to 1


def best_with_neighbours(ended: Sequence[tuple[Place, float]], count: int) -> list[int]:
    """Return the indices of the settings with the lowest mean costs in their neighbourhood, best first.

    The neighbours of a lucky trial show that it was lucky. Failed settings, whose cost is infinite, are left out.
    """
    good = [i for i, (_, cost) in enumerate(ended) if np.isfinite(cost)]
    compared = good[:: -(-len(good) // MOST_SETTINGS) or 1]
    if len(compared) <= 1:
        return compared[:count]
    means = neighbourhood_means(tuple(ended[i][0] for i in compared), tuple(ended[i][1] for i in compared))
    return [compared[i] for i in np.argsort(means, kind="stable")[:count]]


@functools.lru_cache(maxsize=512)
def neighbourhood_means(places: tuple[Place, ...], costs: tuple[float, ...]) -> tuple[float, ...]:
    """Return the weighted mean cost around each place:

        mean_i = sum_j w_ij cost_j / sum_j w_ij,   w_ij = exp(-1/2 sum_d ((x_id - x_jd) / width_d)^2)

    The widths are those with which the better half of the costs is predicted best from the others: small along a range
    that matters, large along one that does not. A cost above the median counts as the median: that a neighbour diverged
    says no more than that it was not good.
    """
    squares = np.square(np.asarray(places)[:, None] - np.asarray(places)[None])
    clipped = np.minimum(costs, np.median(costs))
    widths = np.full(squares.shape[-1], FIRST_WIDTH)
    for along in [*range(len(widths))] * ROUNDS:
        errors = []
        for width in WIDTHS:
            widths[along] = width
            errors.append(_error(squares, clipped, widths))
        widths[along] = WIDTHS[int(np.argmin(errors))]
    weights = _weights(squares, widths)
    return tuple((weights @ clipped / weights.sum(1)).tolist())


def _weights(squares: np.ndarray, widths: np.ndarray) -> np.ndarray:
    weights: np.ndarray = np.exp(-(squares @ widths**-2.0) / 2)
    return weights


def _error(squares: np.ndarray, costs: np.ndarray, widths: np.ndarray) -> float:
    """Return the mean absolute error with which the better half of the costs is predicted from all others."""
    weights = _weights(squares, widths)
    np.fill_diagonal(weights, 0.0)
    sums = weights.sum(1)
    alone = sums < np.finfo(float).tiny
    predicted = np.where(alone, costs.mean(), weights @ costs / np.where(alone, 1.0, sums))
    better = costs <= np.median(costs)
    return float(np.mean(np.abs(predicted - costs)[better]))
