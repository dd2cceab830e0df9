import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrograd.base.errors import DataError
from retrograd.data.split.split import RowLabels, split_by_group, split_by_time, split_random, split_stratified


def assert_partition(split, rows):
    assert np.array_equal(np.sort(np.concatenate(split)), np.arange(rows))


def test_a_random_split_has_the_sizes_and_loses_no_row():
    split = split_random(100, 0.15, 0.15, seed=0)
    assert [len(part) for part in split] == [70, 15, 15]
    assert_partition(split, 100)


def test_a_seed_gives_the_same_split_and_another_seed_another():
    first, again, other = (split_random(100, 0.2, 0.2, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 60), min_size=2, max_size=6), st.integers(0, 1000))
def test_a_stratified_split_keeps_each_class_in_proportion(counts, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    split = split_stratified(RowLabels(labels, tuple("abcdef")), 0.15, 0.15, seed)
    assert_partition(split, len(labels))
    for i, count in enumerate(counts):
        in_train = np.sum(labels[split.train] == i)
        assert in_train >= 1
        share = count / len(labels)  # half a row itself, and its share of the other classes' halves
        assert abs(in_train - share * len(split.train)) <= 0.5 + share * len(counts) / 2


def test_a_class_of_one_row_cannot_be_stratified():
    with pytest.raises(DataError, match="class 'b' has only 1 row"):
        split_stratified(RowLabels(np.array([0, 0, 1, 0]), ("a", "b")), 0.25, 0.25, 0)


@pytest.mark.parametrize(("names", "is_reported"), [(("3", "11"), True), (("-1.5", "2.0"), True), (("3", "b"), False)])
def test_classes_that_are_all_numbers_may_be_quantities(names, is_reported):
    with pytest.raises(DataError) as caught:
        split_stratified(RowLabels(np.array([0, 0, 1, 0]), names), 0.25, 0.25, 0)
    assert ("task: regression" in str(caught.value)) is is_reported


def test_a_split_by_time_trains_on_the_past():
    times = np.array([5.0, 1, 4, 2, 3, 9, 8, 7, 6, 0])
    split = split_by_time(times, 0.2, 0.2)
    assert_partition(split, 10)
    assert times[split.train].max() < times[split.valid].min()
    assert times[split.valid].max() < times[split.test].min()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=20, max_size=60))
def test_a_split_by_time_keeps_equal_moments_together(times):
    times = np.array(times, float)
    try:
        split = split_by_time(times, 0.25, 0.25)
    except DataError:
        return
    assert_partition(split, len(times))
    assert times[split.train].max() < times[split.valid].min()
    assert times[split.valid].max() < times[split.test].min()


def test_too_few_moments_are_reported():
    with pytest.raises(DataError, match="too few distinct times"):
        split_by_time(np.zeros(20), 0.2, 0.2)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=10, max_size=60), st.integers(0, 1000))
def test_a_split_by_group_keeps_groups_whole_and_fills_every_part(groups, seed):
    groups = np.array(groups)
    try:
        split = split_by_group(groups, 0.2, 0.2, seed)
    except DataError:
        assert len(set(groups)) < 3
        return
    assert_partition(split, len(groups))
    sets = [set(groups[part]) for part in split]
    assert all(sets)
    assert len(set.union(*sets)) == sum(map(len, sets))


def test_too_few_rows_are_reported():
    with pytest.raises(DataError, match=r"2 rows are too few.*split: none"):
        split_random(2, 0.15, 0.15, 0)


def test_a_share_of_zero_makes_no_part():
    assert len(split_random(10, 0.2, 0.0, 0).test) == 0
    assert len(split_by_time(np.arange(10.0), 0.2, 0.0).test) == 0
    assert len(split_by_group(np.arange(10), 0.0, 0.2, 0).valid) == 0


def test_a_stratified_split_cuts_the_order_of_all_rows_by_their_place_in_their_class():
    numbers = np.random.default_rng(5).integers(0, 3, 997)
    split = split_stratified(RowLabels(numbers, ("a", "b", "c")), 0.15, 0.2, seed=3)
    rows = np.random.Generator(np.random.PCG64(3)).permutation(997)
    counts, places = np.zeros(3, int), {}
    for row in rows:
        counts[numbers[row]] += 1
        places[row] = (counts[numbers[row]] - 0.5) / np.count_nonzero(numbers == numbers[row])
    order = sorted(rows, key=lambda row: places[row])  # stable
    assert split.train.tolist() == sorted(order[: 997 - 150 - 199])
    assert split.valid.tolist() == sorted(order[997 - 150 - 199 : -199])
    assert split.test.tolist() == sorted(order[-199:])
