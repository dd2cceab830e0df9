"""Dispatches of epochs: every row once, in order; observed neither too often nor in the middle of a dispatch."""

import numpy as np
import pytest

from retrograd.data.batches import epoch_order
from retrograd.training.loop.course import dispatches, minibatches, stretches


@pytest.mark.parametrize("rows", [12, 13])
@pytest.mark.parametrize("steps", [1, 4, 64])
def test_dispatches_contain_every_row_of_every_epoch_once_and_in_order(rows, steps):
    orders = [epoch_order(rows, 3, 0, epoch) for epoch in range(3)]
    groups = list(dispatches(orders, steps))
    assert all(len(order) <= steps for order in groups if order.ndim == 2)
    assert all(order.ndim == 1 for order in groups) is (steps == 1)
    expected = [part for order in orders for part in (*order.full, *([] if order.rest is None else [order.rest]))]
    assert [chosen.tolist() for chosen in minibatches(groups)] == [part.tolist() for part in expected]
    if rows == 12 and steps == 64:  # without a remainder, epochs share a dispatch
        assert [order.shape for order in groups] == [(12, 3)]


@pytest.mark.parametrize(
    ("total", "per_dispatch", "lengths"),
    [
        (20, 1, [20]),
        (199, 1, [199]),
        (200, 1, [100, 100]),
        (299, 1, [100, 199]),
        (1000, 64, [128] * 7 + [104]),
    ],
)
def test_a_long_group_is_observed_between_dispatches_and_a_short_one_at_its_end(total, per_dispatch, lengths):
    order = epoch_order(total, 1, 0, 0)
    groups = list(dispatches([order], per_dispatch))
    looks = list(stretches(groups, total, least=100))
    assert [sum(1 for _ in minibatches(stretch)) for stretch in looks] == lengths
    rows = [chosen for stretch in looks for chosen in minibatches(stretch)]
    assert np.array_equal(np.concatenate(rows), order.full[:, 0])
