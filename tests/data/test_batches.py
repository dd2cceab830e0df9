import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrograd.base.errors import UsageError
from retrograd.data.batches import epoch_order


def all_rows(order):
    return np.concatenate([order.full.ravel(), *([] if order.rest is None else [order.rest])])


@given(st.integers(1, 200), st.integers(1, 64), st.integers(0, 2**40), st.booleans(), st.booleans())
def test_every_row_is_in_exactly_one_batch(rows, batch_size, seed, shuffle, join_single):
    order = epoch_order(rows, batch_size, seed, 0, shuffle=shuffle, join_single=join_single)
    assert np.array_equal(np.sort(all_rows(order)), np.arange(rows))
    assert order.full.dtype == np.int32
    assert order.full.shape[1] == batch_size


def test_the_order_depends_on_seed_and_epoch_alone():
    first = all_rows(epoch_order(50, 8, 7, 3))
    assert np.array_equal(first, all_rows(epoch_order(50, 8, 7, 3)))
    assert np.array_equal(first, all_rows(epoch_order(50, 16, 7, 3)))
    assert not np.array_equal(first, all_rows(epoch_order(50, 8, 7, 4)))
    assert not np.array_equal(first, all_rows(epoch_order(50, 8, 8, 3)))


def test_the_order_is_the_one_written_down_here_so_that_old_runs_can_be_repeated():
    assert all_rows(epoch_order(8, 3, 0, 0)).tolist() == [2, 4, 3, 6, 5, 0, 1, 7]


def test_without_shuffle_the_rows_keep_their_order():
    order = epoch_order(7, 3, 0, 0, shuffle=False)
    assert order.full.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert order.rest.tolist() == [6]


def test_a_single_remaining_row_joins_the_previous_batch():
    order = epoch_order(7, 3, 0, 0, shuffle=False, join_single=True)
    assert order.full.tolist() == [[0, 1, 2]]
    assert order.rest.tolist() == [3, 4, 5, 6]


def test_there_is_no_remainder_when_the_batches_fit():
    assert epoch_order(6, 3, 0, 0).rest is None


def test_fewer_rows_than_a_batch_are_the_remainder():
    order = epoch_order(2, 3, 0, 0)
    assert order.full.shape == (0, 3)
    assert len(order.rest) == 2


@pytest.mark.parametrize(("rows", "batch_size"), [(0, 1), (1, 0)])
def test_an_empty_data_set_cannot_be_batched(rows, batch_size):
    with pytest.raises(UsageError, match="at least 1"):
        epoch_order(rows, batch_size, 0, 0)
