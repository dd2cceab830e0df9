"""As few digits as possible, and the same float32."""

import numpy as np
import pytest

from retrograd.data.tables.scaling import Scaling, shortest

SINGLE = np.array([[0.1], [1 / 3], [-2.5e-8], [16777216.0], [0.0], [np.nan], [-np.inf]], np.float32)


def test_a_float32_prints_as_its_shortest_decimal():
    decimals = shortest(SINGLE)
    assert [repr(each) for each in decimals.ravel().tolist()] == [
        "0.1", "0.33333334", "-2.5e-08", "16777216.0", "0.0", "nan", "-inf"]  # fmt: skip
    assert np.array_equal(decimals.astype(np.float32), SINGLE, equal_nan=True)
    assert shortest(np.array([0.7310585786300049]))[0] == 0.7310586


@pytest.mark.parametrize(("offset", "scale"), [(0.0, 3.7), (1e6, 1.0), (1.7e9, 86400.0), (5.0, 1e30)])
def test_unscaled_numbers_scale_to_the_float32_that_they_came_from(offset, scale):
    y = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    scaling = Scaling((offset, 0.0), (scale, 1.0))
    values = scaling.undo(y)
    decimals = shortest(values, scaling)
    assert np.array_equal(scaling.apply(decimals).astype(np.float32), scaling.apply(values).astype(np.float32))
    digits = [np.mean([len(repr(each)) for each in these.ravel().tolist()]) for these in (decimals, values)]
    assert digits[0] < digits[1] - 2
