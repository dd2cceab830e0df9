"""Settings compared together with their neighbours."""

import math

import numpy as np
import pytest

from retrograd.training.config.search import Range
from retrograd.tuning.neighbourhood import MOST_SETTINGS, best_with_neighbours, neighbourhood_means

RNG = np.random.default_rng(0)


def valley(count, ranges=3, noise=0.0, best=0.3):
    """Random places whose cost depends on the first range only."""
    places = RNG.random((count, ranges))
    costs = (places[:, 0] - best) ** 2 + noise * RNG.normal(size=count)
    return [(tuple(place), float(cost)) for place, cost in zip(places.tolist(), costs, strict=True)]


def test_a_lucky_trial_among_bad_ones_is_not_the_best():
    ended = [*valley(60, noise=0.002), ((0.95, 0.5, 0.5), -0.1)]
    assert min(range(61), key=lambda i: ended[i][1]) == 60
    assert 60 not in best_with_neighbours(ended, 8)


def test_the_mean_of_neighbours_is_closer_to_the_truth_than_one_trial():
    ended = valley(80, noise=0.02)
    truth = np.array([(place[0] - 0.3) ** 2 for place, _ in ended])
    better = truth < np.median(truth)
    means = neighbourhood_means(*(tuple(part) for part in zip(*ended, strict=True)))
    own = np.array([cost for _, cost in ended])
    assert np.mean((means - truth)[better] ** 2) < 0.5 * np.mean((own - truth)[better] ** 2)


def test_without_noise_the_order_is_nearly_that_of_the_costs():
    ended = valley(60, ranges=1)
    chosen = best_with_neighbours(ended, 4)
    assert max(ended[i][1] for i in chosen) < np.quantile([cost for _, cost in ended], 0.25)


@pytest.mark.parametrize(
    "ended",
    [
        [],
        [((0.5,), 1.0)],
        [((0.5,), math.inf)],
        [((0.5,), 1.0), ((0.5,), 1.0)],
        [((0.1,), 2.0), ((0.9,), 1.0)],
        [((0.1,), 2.0), ((0.9,), math.inf), ((0.5,), 1.0)],
        [((0.0,), 1e300), ((1.0,), -1e300), ((0.5,), 0.0)],
    ],
)
def test_few_equal_failed_and_huge_costs(ended):
    chosen = best_with_neighbours(ended, 2)
    assert len(chosen) == min(2, sum(math.isfinite(cost) for _, cost in ended))
    assert all(math.isfinite(ended[i][1]) for i in chosen)


@pytest.mark.parametrize("count", [MOST_SETTINGS, MOST_SETTINGS + 1, 3 * MOST_SETTINGS])
def test_of_many_settings_an_even_selection_is_compared_not_the_lucky_ones(count):
    compared = sorted(best_with_neighbours(valley(count), 10**6))
    assert MOST_SETTINGS / 2 < len(compared) <= MOST_SETTINGS
    assert len(set(np.diff(compared))) == 1


def test_a_region_of_many_mediocre_trials_and_a_few_lucky_ones_is_not_better_than_a_good_one():
    wild = [((float(x),), float(y)) for x, y in zip(RNG.normal(0.8, 0.02, 400), RNG.normal(1.0, 0.3, 400), strict=True)]
    good = [((float(x),), float(y)) for x, y in zip(RNG.normal(0.2, 0.02, 60), RNG.normal(0.7, 0.05, 60), strict=True)]
    chosen = best_with_neighbours([*wild, *good], 8)
    assert min(cost for _, cost in wild) < min(cost for _, cost in good)
    assert all(i >= len(wild) for i in chosen)


@pytest.mark.parametrize(
    ("span", "value", "share"),
    [
        (Range("log", (1e-4, 1.0)), 0.01, 0.5),
        (Range("linear", (-1.0, 3.0)), 0.0, 0.25),
        (Range("integer", (2, 6)), 6, 1.0),
        (Range("choice", ("a", "b", "c")), "b", 0.5),
        (Range("choice", (8,)), 8, 0.0),
    ],
)
def test_the_share_of_a_value_along_its_range(span, value, share):
    assert span.share(value) == pytest.approx(share)
