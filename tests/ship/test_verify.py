"""What a comparison with the run accepts, and what it rejects."""

import numpy as np
import pytest

from retrograd.data.tables.scaling import Scaling
from retrograd.data.tables.target import Labels, Quantities
from retrograd.ship.distance import distance
from retrograd.ship.verify import ALLOWED, alike_numbers, answers_apart, labels_apart

TARGET = Labels("y", ("low", "middle", "high"), binary=False)
ONES = np.ones(2)
NUMBERS = np.array([[1.0, 2.0], [3.0, np.nan]], np.float32)
OFF = np.nextafter(NUMBERS, np.float32(9))


def test_a_label_may_differ_only_if_the_run_finds_both_equally_likely():
    scores = np.array([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6]])
    expected = np.array(["low", "high"])
    assert labels_apart(TARGET, np.array(["middle", "high"]), expected, scores, ONES) == 0
    assert labels_apart(TARGET, np.array(["high", "high"]), expected, scores, ONES) == 0.5  # while two others are tied
    assert labels_apart(TARGET, np.array(["low", "middle"]), expected, scores, ONES) == pytest.approx(0.4)
    assert labels_apart(TARGET, np.array(["low", "other"]), expected, scores, ONES) == np.inf


def test_columns_agree_to_the_last_bit_except_for_logarithms_and_sines():
    assert alike_numbers(NUMBERS, NUMBERS, np.zeros(1, bool)).all()
    assert not alike_numbers(OFF, NUMBERS, np.zeros(1, bool))[1, 0]
    assert alike_numbers(OFF, NUMBERS, np.array([True, False])).tolist() == [[True, False], [True, True]]


def test_one_infinite_number_hides_no_other():
    expected = np.array([1.0, np.inf])
    assert distance(np.array([1.5, np.inf]), expected) == 0.5
    assert distance(np.array([1.0, 2.0]), expected) == np.inf


def test_an_error_in_a_small_quantity_is_not_hidden_by_a_large_one_or_by_values_below_1():
    target = Quantities(("large", "small"), Scaling((0.0, 0.0), (1e6, 1e-7)))
    expected = np.array([[2e6, 3e-7]])
    got = np.array([[2e6, 2e-7]])
    assert distance(got, expected) < ALLOWED < answers_apart(target, "values", got, expected, got, {}, ONES)
    assert answers_apart(target, "values", expected, expected, got, {}, ONES) == 0


def test_probabilities_may_differ_by_the_rounding_of_their_logits():
    expected = np.array([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6]])
    got = expected + np.array([[2e-5, -2e-5, 0.0], [0.0, 0.0, 0.0]])
    assert answers_apart(TARGET, "probabilities", got, expected, expected, {}, ONES) > ALLOWED
    assert answers_apart(TARGET, "probabilities", got, expected, expected, {}, np.array([500.0, 1.0])) < ALLOWED
    assert (
        answers_apart(TARGET, "probabilities", got[::-1], expected[::-1], expected, {}, np.array([500.0, 1.0]))
        > ALLOWED
    )
